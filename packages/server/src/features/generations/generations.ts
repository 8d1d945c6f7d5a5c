import type { Database } from '../../db/database.ts';
import type { Clock } from '../../platform/clock.ts';
import type { NewId } from '../../platform/ids.ts';
import type { Logger } from '../../platform/logger.ts';
import type { ReserveCredits } from '../credits/reserve-credits.ts';
import type { SettleUsage } from '../credits/settle-usage.ts';
import type { IdempotencyKeys } from '../idempotency/idempotency-keys.ts';
import type { StreamCompletion } from '../models/stream-completion.ts';
import { createAdmitGeneration } from './admit-generation.ts';
import { createAnnounceChange } from './announce-change.ts';
import { createAwaitGeneration } from './await-generation.ts';
import { createClaimGeneration } from './claim-generation.ts';
import { loadTokenCounter } from './count-tokens.ts';
import { createEndForDeletion } from './end-for-deletion.ts';
import { createEndGeneration } from './end-generation.ts';
import { createEstimateConversation } from './estimate-conversation.ts';
import { createFindByKey } from './find-by-key.ts';
import { createFindLatestGeneration } from './find-latest-generation.ts';
import { createFollowSession } from './follow-session.ts';
import { createFollowGeneration } from './follow-generation.ts';
import type { GenerationLog } from './generation-log.ts';
import { createGenerationOwner } from './generation-owner.ts';
import { createReadSnapshot } from './generation-snapshot.ts';
import { createListLiveGenerations } from './list-live-generations.ts';
import { createRowWatch } from './row-watch.ts';
import { createGenerationsStore } from './generations-store.ts';
import { createMessageStore } from './message-store.ts';
import { createPreparePrompt, type PromptModels } from './prepare-prompt.ts';
import type { Probe } from './probe.ts';
import { createReadAutomaticTitle } from './read-automatic-title.ts';
import { createRecoverExpired } from './recover-expired.ts';
import { createRecoverGeneration } from './recover-generation.ts';
import { createRefuseGeneration } from './refuse-generation.ts';
import { createRequireIdle } from './require-idle.ts';
import { createResolveReader } from './resolve-reader.ts';
import { createRunGeneration } from './run-generation.ts';
import { createReadSession } from './session-snapshot.ts';
import { createSegmentsStore } from './segments-store.ts';
import { createStartGeneration } from './start-generation.ts';
import { createStopGeneration } from './stop-generation.ts';

export interface GenerationsOptions {
  readonly database: Database;
  readonly reserveCredits: ReserveCredits;
  readonly settleUsage: SettleUsage;
  readonly log: GenerationLog;
  readonly keys: IdempotencyKeys;
  readonly models: PromptModels;
  readonly defaultModelId: string;
  readonly streamCompletion: StreamCompletion;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly newId: NewId;
  readonly probe: Probe;
  readonly leaseMilliseconds: number;
  readonly bufferMilliseconds: number;
  readonly maxConcurrentGenerations: number;
}

export type Generations = ReturnType<typeof createGenerations>;

/** Puts the parts of the feature together; each of them is made of what it is given and nothing else. */
export function createGenerations(options: GenerationsOptions) {
  const { database, log } = options;
  const instanceId = options.newId();
  const store = createGenerationsStore(database);
  const segments = createSegmentsStore(database);
  const messages = createMessageStore(database);
  const base = { ...options, instanceId, store, segments, messages, loadTokenCounter };

  const owner = createGenerationOwner(base);
  const { query } = database;
  const watch = createRowWatch({
    ...options,
    readStates: (ids) => segments.readStates(query, ids),
    isLocal: owner.owns,
  });
  const sessionWatch = createRowWatch({
    ...options,
    readStates: (ids) => store.readSessionStates(query, ids),
    // A SQLite file has one server.
    isLocal: () => database.kind === 'sqlite',
  });
  const readSession = createReadSession(base);
  const readSnapshot = createReadSnapshot(base);
  const end = createEndGeneration(base);
  const refuse = createRefuseGeneration(base);
  const recover = createRecoverGeneration({ ...base, end, refuse });
  const recoverExpired = createRecoverExpired({ ...base, recover });
  const awaitGeneration = createAwaitGeneration({ owner, log, watch, readSnapshot });
  const claim = createClaimGeneration({ ...base, recover, isShuttingDown: () => owner.isDraining });
  const startGeneration = createStartGeneration({
    ...base,
    owner,
    claim,
    refuse,
    dialect: database.dialect,
    prepare: createPreparePrompt(base),
    reserve: options.reserveCredits,
    admit: createAdmitGeneration(base),
    run: createRunGeneration({
      ...base,
      owner,
      end,
      serve: (generation, modelId) => store.serve(query, generation, modelId),
    }),
  });

  return {
    owner,
    readSnapshot,
    readAutomaticTitle: createReadAutomaticTitle(base),
    recoverExpired,
    awaitGeneration,
    startGeneration,
    followSession: createFollowSession({ ...base, watch: sessionWatch, readSession, readSnapshot }),
    announceChange: createAnnounceChange({ ...base, owner }),
    followGeneration: createFollowGeneration({ ...base, watch, readSnapshot }),
    stopGeneration: createStopGeneration({ ...base, owner, recover, awaitGeneration }),
    resolveReader: createResolveReader(base),
    findByKey: createFindByKey(base),
    findLatestGeneration: createFindLatestGeneration(base),
    estimateConversation: createEstimateConversation(base),
    listLiveGenerations: createListLiveGenerations(base),
    endForDeletion: createEndForDeletion({ ...base, owner, recover, awaitGeneration }),
    requireIdle: createRequireIdle(store),
    /** Ends the background work; generations are to have ended before. */
    async stop(): Promise<void> {
      await owner.stop();
      await watch.stop();
      await sessionWatch.stop();
    },
  };
}
