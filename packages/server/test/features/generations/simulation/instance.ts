import { ProviderError } from '../../../../src/clients/providers/provider.ts';
import { createAdmitGeneration, type AdmitGeneration } from '../../../../src/features/generations/admit-generation.ts';
import { createAwaitGeneration, type AwaitGeneration } from '../../../../src/features/generations/await-generation.ts';
import { createEndGeneration, type EndGeneration } from '../../../../src/features/generations/end-generation.ts';
import {
  createFollowGeneration,
  type FollowGeneration,
} from '../../../../src/features/generations/follow-generation.ts';
import type { GenerationLog } from '../../../../src/features/generations/generation-log.ts';
import { createGenerationOwner } from '../../../../src/features/generations/generation-owner.ts';
import { createReadSnapshot } from '../../../../src/features/generations/generation-snapshot.ts';
import { createRowWatch } from '../../../../src/features/generations/row-watch.ts';
import { createMemoryLog } from '../../../../src/features/generations/memory-log.ts';
import type { ProbePoint } from '../../../../src/features/generations/probe.ts';
import { createRecoverExpired } from '../../../../src/features/generations/recover-expired.ts';
import {
  createRecoverGeneration,
  type RecoverGeneration,
} from '../../../../src/features/generations/recover-generation.ts';
import {
  createRefuseGeneration,
  type RefuseGeneration,
} from '../../../../src/features/generations/refuse-generation.ts';
import { createResolveReader, type ResolveReader } from '../../../../src/features/generations/resolve-reader.ts';
import { createRunGeneration, type RunGeneration } from '../../../../src/features/generations/run-generation.ts';
import { createStopGeneration, type StopGeneration } from '../../../../src/features/generations/stop-generation.ts';
import type { StreamCompletion } from '../../../../src/features/models/stream-completion.ts';
import type { Logger } from '../../../../src/platform/logger.ts';
import type { Rows, RowsHandle } from './rows.ts';
import type { Process, Schedule } from './schedule.ts';
import type { Script } from './script.ts';

export const leaseMilliseconds = 3000;

/** One process of the service: the real parts of the feature over the rows that all instances share. */
export interface Instance extends RowsHandle {
  readonly process: Process;
  readonly instanceId: string;
  readonly admit: AdmitGeneration;
  readonly run: RunGeneration;
  readonly refuse: RefuseGeneration;
  readonly recover: RecoverGeneration;
  readonly stop: StopGeneration;
  readonly awaitGeneration: AwaitGeneration;
  readonly resolveReader: ResolveReader;
  readonly followGeneration: FollowGeneration;
}

export interface InstanceOptions {
  readonly schedule: Schedule;
  readonly rows: Rows;
  readonly logger: Logger;
  readonly newId: () => string;
  readonly scriptOf: (generationId: string) => Script;
  readonly bufferMilliseconds: number;
  readonly maxBytes: number;
  /** The log that all instances share, as with Redis; null: each has its own. */
  readonly sharedLog: GenerationLog | null;
  /** Called when a write of an owner that is one no longer was refused. */
  readonly refused: () => void;
  /** Whether appending and reading take time, as they do over a network. */
  readonly remoteLog: boolean;
}

export function createInstance(name: string, options: InstanceOptions): Instance {
  const { schedule, rows, bufferMilliseconds, maxBytes, sharedLog, remoteLog } = options;
  const process: Process = { name, state: 'running' };
  const clock = schedule.clockOf(process);
  const step = () => schedule.point(process);
  const instanceId = options.newId();
  const handle = rows.open(process);
  const ownLog = sharedLog ?? createMemoryLog({ clock, bufferMilliseconds, maxBytes });
  const log = remoteLog ? overNetwork(ownLog, step) : ownLog;

  const loadTokenCounter = () => Promise.resolve((text: string) => text.length);
  const probe = (point: ProbePoint) => (point === 'checkpointing' && !rows.stepsInTransactions ? undefined : step());
  const keys = {
    hash: () => '',
    find: () => Promise.resolve(null),
    remember: () => Promise.resolve(),
    forget: () => Promise.resolve(),
  };
  // Nothing costs anything here.
  const settleUsage = {
    admit: () => Promise.resolve(),
    end: () => Promise.resolve(0),
    refuse: () => Promise.resolve(),
    committed: () => undefined,
  };
  const base = {
    ...options,
    ...handle,
    log,
    clock,
    probe,
    keys,
    settleUsage,
    instanceId,
    loadTokenCounter,
    leaseMilliseconds,
  };
  const owner = createGenerationOwner(base);
  const watch = createRowWatch({
    ...base,
    readStates: (ids) => base.segments.readStates(base.database.query, ids),
    isLocal: owner.owns,
  });
  const readSnapshot = createReadSnapshot(base);
  const endGeneration = createEndGeneration(base);
  const end: EndGeneration = async (...parameters) => {
    const message = await endGeneration(...parameters);
    if (message === null) options.refused();
    return message;
  };
  const refuse = createRefuseGeneration(base);
  const recover = createRecoverGeneration({ ...base, end, refuse });
  const recoverExpired = createRecoverExpired({ ...base, recover });
  const awaitGeneration = createAwaitGeneration({ ...base, owner, watch, readSnapshot });
  const streamCompletion = createScriptedModel(options.scriptOf, step);

  const lookForExpired = () => {
    clock.after(1000, () => void recoverExpired.periodically().finally(lookForExpired));
  };
  lookForExpired();

  return {
    ...handle,
    process,
    instanceId,
    refuse,
    recover,
    awaitGeneration,
    admit: createAdmitGeneration(base),
    run: createRunGeneration({ ...base, owner, end, streamCompletion, serve: () => Promise.resolve() }),
    stop: createStopGeneration({ ...base, owner, recover, awaitGeneration }),
    resolveReader: createResolveReader(base),
    followGeneration: createFollowGeneration({ ...base, watch, readSnapshot }),
  };
}

/** A model that says what its script says, each word when the schedule lets it. */
function createScriptedModel(scriptOf: (id: string) => Script, step: () => Promise<void>): StreamCompletion {
  return async function* streamCompletion({ modelId, generationId }, signal) {
    const aborted = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    const { texts, end } = scriptOf(generationId);
    yield { type: 'serving', modelId };
    for (const text of texts) {
      await Promise.race([step(), aborted]);
      signal.throwIfAborted();
      yield { type: 'text', text };
    }
    await Promise.race([step(), aborted]);
    signal.throwIfAborted();
    if (end === 'finish') yield { type: 'finish', reason: 'stop' };
    else if (end !== 'silent') throw new ProviderError(end, 'The script says so.');
  };
}

function overNetwork(log: GenerationLog, step: () => Promise<void>): GenerationLog {
  return {
    ...log,
    async append(sessionId, entries) {
      await step();
      const appended = await log.append(sessionId, entries);
      await step();
      return appended;
    },
    async read(sessionId, after) {
      await step();
      const entries = await log.read(sessionId, after);
      await step();
      return entries;
    },
  };
}
