import { createAppRouter } from './app-router.ts';
import { createHttpAccounting, type HttpAccounting } from './clients/accounting/http/http-accounting.ts';
import { warnOfUndelivered } from './clients/accounting/http/warn-of-undelivered.ts';
import type { Authenticate } from './clients/auth/principal.ts';
import { createAuthenticate } from './clients/auth/verify-token.ts';
import { createDemoProvider } from './clients/providers/demo/demo-provider.ts';
import { createOpenAiProvider } from './clients/providers/openai/openai-provider.ts';
import type { Config } from './config/config.ts';
import { parseDatabaseUrl } from './db/database-url.ts';
import { openDatabase, type Database } from './db/database.ts';
import { migrate } from './db/migrate.ts';
import { acquireProcessLock } from './db/sqlite/process-lock.ts';
import type { Accounting } from './clients/accounting/accounting.ts';
import { createEmbeddedAccounting } from './clients/accounting/embedded/embedded-accounting.ts';
import { createAccountRouter } from './features/accounts/account-router.ts';
import { createGetUsage } from './features/accounts/get-usage.ts';
import { createRecordUser } from './features/accounts/record-user.ts';
import { createUserOperations } from './features/accounts/user-operations.ts';
import { createAdmitSession } from './features/credits/admit-session.ts';
import { createReserveCredits } from './features/credits/reserve-credits.ts';
import { createSettleUsage } from './features/credits/settle-usage.ts';
import { createUsageRecordsStore } from './features/credits/usage-records-store.ts';
import { createGenerations, type Generations } from './features/generations/generations.ts';
import { createMemoryLog } from './features/generations/memory-log.ts';
import { noProbe, type Probe } from './features/generations/probe.ts';
import { createIdempotencyKeys } from './features/idempotency/idempotency-keys.ts';
import { loadServiceKey } from './features/idempotency/service-key.ts';
import { createMessageOperations } from './features/messages/message-operations.ts';
import { createMessageRouter } from './features/messages/message-router.ts';
import { createListModels } from './features/models/list-models.ts';
import { createModelRouter } from './features/models/model-router.ts';
import { longestAnswerMs } from './features/models/longest-answer.ts';
import { createModels } from './features/models/models.ts';
import { createRecommendModel } from './features/models/recommend-model.ts';
import { reportMissingKeys } from './features/models/report-missing-keys.ts';
import { createStreamCompletion } from './features/models/stream-completion.ts';
import { createEraseDeleted } from './features/retention/erase-deleted.ts';
import { createSessionOperations } from './features/sessions/session-operations.ts';
import { createSessionRouter } from './features/sessions/session-router.ts';
import { createToSession } from './features/sessions/session-row.ts';
import { createCallLimiter } from './features/limits/call-limiter.ts';
import { createObservations } from './features/supervision/observations.ts';
import { createObserverCounts } from './features/supervision/observer-counts.ts';
import { createObservedNotices } from './features/supervision/observer-notices.ts';
import { createSupervisionOperations } from './features/supervision/supervision-operations.ts';
import { createSupervisionRouter } from './features/supervision/supervision-router.ts';
import { createCheckHealth } from './features/system/check-health.ts';
import { createHealthChecks } from './features/system/health-checks.ts';
import { createSystemRouter } from './features/system/system-router.ts';
import { createVersion, readPackageVersion } from './features/system/version.ts';
import { systemClock, type Clock } from './platform/clock.ts';
import { newUuid, type NewId } from './platform/ids.ts';
import type { Logger } from './platform/logger.ts';
import { createScheduler } from './platform/scheduler.ts';
import { createHttpServer, type TransportStats } from './transports/http-server.ts';

/** What a caller may put in the place of the service's own parts. */
export interface AppOverrides {
  readonly logger: Logger;
  /** @default the system's */
  readonly clock?: Clock;
  readonly newId?: NewId;
  readonly fetch?: typeof globalThis.fetch;
  /** Told the moments of each generation's life. */
  readonly probe?: Probe;
  /** Named to whoever waits for this process's lock on a SQLite file. */
  readonly processId?: number;
}

/** The service, ready to listen. Disposing closes everything at once; `drain` first to let running answers end. */
export interface App extends AsyncDisposable {
  listen(): Promise<{ readonly url: string }>;
  /** Lets running answers end within the grace, interrupts the rest; `clean` when every end is stored. */
  drain(): Promise<{ readonly clean: boolean }>;
  transportStats(): TransportStats;
}

/** Between two looks for what the Accounting Service has yet to be told. */
const deliverMs = 1000;
/** How much longer than any answer a hold lasts that nobody ends. */
const holdReserveSeconds = 300;
/** Between two looks for deletions that were left half done. */
const sweepMs = 60_000;
/** What is deleted is to be out of an SQLite file within five seconds. */
const eraseMs = 1_000;
/** What streams get to send their terminal event once all generations have ended. */
const lastEventsMs = 500;

/**
 * Opens everything that the configuration names and puts the service together.
 * @throws Error in words that say what is wrong with the database
 */
export async function createApp(config: Config, overrides: AppOverrides): Promise<App> {
  const { logger, clock = systemClock, newId = newUuid, probe = noProbe } = overrides;
  await using opened = new AsyncDisposableStack();
  const location = parseDatabaseUrl(config.database.url);
  if (location.kind === 'sqlite') {
    const { processId } = overrides;
    const lock = await acquireProcessLock(location.file, {
      waitMilliseconds: config.shutdownGraceMs,
      clock,
      onWait: (message) => logger.warn(message),
      ...(processId !== undefined && { processId }),
    });
    opened.use(lock);
  }
  await migrate(config.database.url, { logger });
  const database = opened.use(await openDatabase(config.database.url, { logger }));

  const secret = await loadServiceKey(database, 'idempotency', new Date(clock.now()));
  const keys = createIdempotencyKeys(database, secret);
  const models = createModels({ catalogue: config.models.catalogue, providers: createProviders(config, overrides) });
  reportMissingKeys(models, logger);
  const accountingService = createAccountingService(config, overrides, database);
  const { plans } = config.accounting;
  const accounting: Accounting = accountingService ?? createEmbeddedAccounting({ database, plans, logger, newId });
  const defaultModelId = config.models.catalogue.default;
  const log = createMemoryLog({ clock, bufferMilliseconds: config.generations.streamBufferMs });
  const generations = createGenerations({
    database,
    reserveCredits: createReserveCredits({ accounting, clock }),
    settleUsage: createSettleUsage({
      accounting,
      store: createUsageRecordsStore(database),
      committed: accountingService?.nudge,
    }),
    log,
    keys,
    models,
    defaultModelId,
    streamCompletion: createStreamCompletion(models),
    clock,
    logger,
    newId,
    probe,
    leaseMilliseconds: config.generations.leaseMs,
    bufferMilliseconds: config.generations.streamBufferMs,
    maxConcurrentGenerations: config.generations.maxConcurrent,
  });
  opened.defer(() => generations.stop());
  // Nobody else can have this file open: what is live in it belonged to a process that is gone.
  if (location.kind === 'sqlite') await generations.recoverExpired.atStartAlone();

  const counts = createObserverCounts({ database, clock, logger });
  opened.defer(() => counts.stop());
  const { notice } = config.supervision;
  const observedNotices = notice ? createObservedNotices(counts) : null;
  const { deleted, eraseDue, finish } = createEraseDeleted({ database, clock, logger });
  opened.defer(finish);
  const messages = createMessageOperations({ database, clock, generations, deleted, observedNotices });
  const sessions = createSessionOperations({
    database,
    keys,
    log,
    clock,
    newId,
    logger,
    generations,
    deleted,
    admitSession: createAdmitSession({ accounting, clock }),
    readNewestMessages: messages.readNewestMessages,
    defaultModelId,
    isKnownModel: (modelId) => models.catalogue.get(modelId) !== undefined,
    observedNotices,
    showObservers: notice ? counts.show : null,
  });
  const toSession = createToSession(defaultModelId);
  const { leaseMs } = config.generations;
  const { followSession } = generations;
  const watching = { database, counts, followSession, toSession, clock, logger, newId, leaseMilliseconds: leaseMs };
  const observations = createObservations({ ...watching, notice });
  opened.defer(() => observations.stop());
  if (location.kind === 'sqlite') await observations.sweepAtStartAlone();
  const supervision = createSupervisionOperations({
    ...watching,
    ...config.supervision,
    users: createUserOperations(database),
    sessions,
    generations,
    observeSession: observations.observeSession,
  });
  const scheduler = opened.use(createScheduler({ clock, logger }));
  const { recoverExpired, owner } = generations;
  const recoverEveryMs = config.generations.leaseMs / 3;
  scheduler.every({ name: 'recover-generations', everyMs: recoverEveryMs, run: () => recoverExpired.periodically() });
  if (accountingService !== null) {
    opened.use(accountingService);
    scheduler.every({
      name: 'deliver-usage',
      everyMs: deliverMs,
      run: (signal) => accountingService.deliverDue(signal),
    });
  }
  scheduler.every({ name: 'sweep-observations', everyMs: leaseMs, run: observations.sweepObservations });
  scheduler.every({ name: 'erase-deleted', everyMs: eraseMs, run: eraseDue });
  scheduler.every({ name: 'sweep-tombstones', everyMs: sweepMs, run: () => sessions.sweepTombstones() });

  const version = createVersion({ version: readPackageVersion(), commit: config.commit });
  const checkHealth = createCheckHealth({
    checks: createHealthChecks({ database, models, accounting: accountingService }),
    isShuttingDown: () => owner.isDraining,
    version: version.version,
    clock,
  });
  const limits = createCallLimiter({ limitPerMinute: config.limits.callsPerMinute, clock });
  const listModels = createListModels(models);
  const router = createAppRouter({
    session: createSessionRouter(sessions),
    message: createMessageRouter(messages),
    model: createModelRouter({
      listModels,
      recommendModel: createRecommendModel({ listModels, estimateConversation: generations.estimateConversation }),
    }),
    supervisor: createSupervisionRouter(supervision),
    account: createAccountRouter({
      getUsage: createGetUsage({
        accounting,
        callsOf: (userId) => limits.state(userId),
      }),
    }),
    system: createSystemRouter({ checkHealth, version }),
  });
  const server = opened.use(
    createHttpServer({
      ...config.http,
      payloads: config.logging.payloads,
      router,
      authenticate: createAuthentication(config, overrides, database),
      limits,
      logger,
      clock,
      health: checkHealth,
      version: version.version,
    }),
  );
  const resources = opened.move();

  return {
    async listen() {
      await recoverExpired.periodically();
      await sessions.sweepTombstones();
      if (accountingService === null) await warnOfUndelivered(database, logger);
      return server.listen();
    },
    drain: () => drain(generations, server, config.shutdownGraceMs),
    transportStats: () => server.stats(),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

async function drain(
  { owner }: Generations,
  server: ReturnType<typeof createHttpServer>,
  graceMs: number,
): Promise<{ clean: boolean }> {
  owner.beginDraining();
  server.beginDrain();
  const clean = await owner.drain(graceMs);
  await server.drain({ milliseconds: lastEventsMs });
  return { clean };
}

function createProviders({ models }: Config, { logger, clock = systemClock, fetch }: AppOverrides) {
  const { demo, openai, apiKeys } = models;
  return {
    ...(demo && { demo: createDemoProvider({ clock }) }),
    openai: createOpenAiProvider({ ...openai, lookUp: (name) => apiKeys.get(name), clock, logger, fetch }),
  };
}

/** Null where the embedded ledger keeps the credits. */
function createAccountingService(
  { accounting: { service }, models }: Config,
  { logger, clock = systemClock, newId = newUuid, fetch, probe }: AppOverrides,
  database: Database,
): HttpAccounting | null {
  if (service === null) return null;
  const holdSeconds = Math.ceil(longestAnswerMs(models.catalogue) / 1000) + holdReserveSeconds;
  return createHttpAccounting({
    ...service,
    database,
    holdSeconds,
    clock,
    logger,
    newId,
    instanceId: newId(),
    fetch,
    probe,
  });
}

/** A token counts once its user has a row: everything that a user owns refers to it. */
function createAuthentication(
  { auth }: Config,
  { logger, clock = systemClock, fetch }: AppOverrides,
  database: Database,
): Authenticate {
  const verify = createAuthenticate(auth, { clock, logger, ...(fetch !== undefined && { fetch }) });
  const recordUser = createRecordUser({ database, clock });
  return async (token) => {
    const principal = await verify(token);
    await recordUser(principal);
    return principal;
  };
}
