import type { Database } from '../../../../src/db/database.ts';
import { createGenerations } from '../../../../src/features/generations/generations.ts';
import { createMemoryLog } from '../../../../src/features/generations/memory-log.ts';
import { createMessageOperations } from '../../../../src/features/messages/message-operations.ts';
import type { CatalogueModel } from '../../../../src/features/models/catalogue.ts';
import type { StreamCompletion } from '../../../../src/features/models/stream-completion.ts';
import { createSessionOperations } from '../../../../src/features/sessions/session-operations.ts';
import { createToSession } from '../../../../src/features/sessions/session-row.ts';
import { createObservations } from '../../../../src/features/supervision/observations.ts';
import { createObserverCounts } from '../../../../src/features/supervision/observer-counts.ts';
import type { Logger } from '../../../../src/platform/logger.ts';
import type { Process, Schedule } from '../../generations/simulation/schedule.ts';
import { toyModel } from '../../models/toy-models.ts';

export const leaseMilliseconds = 3000;

export interface InstanceOptions {
  readonly schedule: Schedule;
  /** Its clock is the schedule's. */
  readonly database: Database;
  readonly newId: () => string;
  readonly logger: Logger;
  readonly bufferMilliseconds: number;
  /** Bytes that the log holds. */
  readonly maxBytes: number;
  /** What the model says in a generation. */
  readonly textsOf: (generationId: string) => readonly string[];
}

export type Instance = ReturnType<typeof createInstance>;

/** One process of the service, made of its real parts, each of its transactions a step of the schedule. */
export function createInstance(name: string, options: InstanceOptions) {
  const { schedule, bufferMilliseconds, maxBytes, textsOf, newId, logger } = options;
  const process: Process = { name, state: 'running' };
  const clock = schedule.clockOf(process);
  const step = () => schedule.point(process);
  const database: Database = {
    ...options.database,
    async transaction(work) {
      await step();
      const result = await options.database.transaction(work);
      await step();
      return result;
    },
  };
  const model = { ...toyModel('toy'), fallback: null, target: {} as CatalogueModel['target'] };
  const log = createMemoryLog({ clock, bufferMilliseconds, maxBytes });
  // Nothing costs anything here.
  const free = {
    reserveCredits: ({ maxTokens }: { maxTokens: number }) =>
      Promise.resolve({ hold: { id: null, reserved: 0 }, plan: 'free', maxTokens, quotaTokens: 0 } as never),
    settleUsage: new Proxy({}, { get: () => () => Promise.resolve(0) }) as never,
  };
  const keys = {
    hash: () => '',
    find: () => Promise.resolve(null),
    remember: () => Promise.resolve(),
    forget: () => Promise.resolve(),
  };
  const base = { database, log, keys, clock, newId, logger };
  const generations = createGenerations({
    ...base,
    ...free,
    models: { chain: () => [model], unavailableReason: () => null },
    defaultModelId: 'toy',
    streamCompletion: createScriptedModel(textsOf, step),
    // A process that died within a transaction would keep the one connection for ever.
    probe: (point) => (point === 'checkpointing' ? undefined : step()),
    leaseMilliseconds,
    bufferMilliseconds,
    maxConcurrentGenerations: 5,
  });
  const messages = createMessageOperations({ database, clock, generations, deleted: () => undefined });
  const sessions = createSessionOperations({
    deleted: () => undefined,
    ...base,
    generations,
    admitSession: { check: () => Promise.resolve(), count: () => Promise.resolve() },
    readNewestMessages: messages.readNewestMessages,
    defaultModelId: 'toy',
    isKnownModel: () => true,
  });
  const counts = createObserverCounts(base);
  const { followSession } = generations;
  const toSession = createToSession('toy');
  const observations = createObservations({
    ...base,
    counts,
    followSession,
    toSession,
    leaseMilliseconds,
    notice: false,
  });

  const repeat = (milliseconds: number, work: () => Promise<void>) => {
    clock.after(milliseconds, () => void work().finally(() => repeat(milliseconds, work)));
  };
  repeat(5000, () => sessions.sweepTombstones());
  repeat(1000, () => generations.recoverExpired.periodically());
  repeat(leaseMilliseconds, () => observations.sweepObservations(new AbortController().signal).catch(() => undefined));
  return { process, generations, messages, sessions, observations };
}

/** A model that says what its script says, each word when the schedule lets it. */
function createScriptedModel(textsOf: InstanceOptions['textsOf'], step: () => Promise<void>): StreamCompletion {
  return async function* streamCompletion({ modelId, generationId }, signal) {
    const aborted = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    yield { type: 'serving', modelId };
    for (const text of textsOf(generationId)) {
      await Promise.race([step(), aborted]);
      signal.throwIfAborted();
      yield { type: 'text', text };
    }
    await Promise.race([step(), aborted]);
    signal.throwIfAborted();
    yield { type: 'finish', reason: 'stop' };
  };
}
