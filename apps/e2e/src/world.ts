import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createChatClient, type ChatClient } from '@chat-service/client-sdk';
import { createApp, type App } from '@chat-service/server/app';
import { openDatabase, type Database } from '@chat-service/server/db/database';
import type { Clock } from '@chat-service/server/platform/clock';
import { createLogger } from '@chat-service/server/platform/logger';
import type { Probe } from '@chat-service/server/features/generations/probe';
import {
  createTestDatabase,
  silentLogger,
  type DatabaseKind,
  type TestDatabase,
} from '../../../packages/server/test/support/databases.ts';
import { configOf } from './config-of.ts';
import { startFakeAccounting, type FakeAccounting, type FakeAccountingOptions } from './fake-accounting.ts';
import { startFakeAuth, type FakeAuth } from './fake-auth.ts';
import { startFakeOpenAi, type FakeOpenAi } from './fake-openai.ts';
import { isThroughPrism, startPrism, type Prism } from './prism.ts';
import { spawnServer, type ServerProcess, type SpawnOptions } from './server-child.ts';
import { openTrpcClient, type TrpcConnection } from './trpc-client.ts';

/** The services of others that a world starts before its own. */
export interface WorldFakes {
  readonly auth: FakeAuth;
  readonly openai: FakeOpenAi;
}

export interface WorldOptions {
  readonly kind: DatabaseKind;
  /** Further variables of the service's configuration; an empty one counts as not set. */
  readonly env?: Readonly<Record<string, string>> | ((fakes: WorldFakes) => Readonly<Record<string, string>>);
  /** Models of the fake endpoint beside the usual ones; what an entry leaves out is as theirs. */
  readonly models?: readonly ({ readonly id: string } & Readonly<Record<string, unknown>>)[];
  /** Of the embedded ledger, as in `PLANS_FILE`. @default `free` with more credit than a test can spend */
  readonly plans?: Readonly<Record<string, unknown>>;
  /** Starts the fake Accounting Service, which then keeps the credits. @default the embedded ledger does */
  readonly accounting?: FakeAccountingOptions;
  readonly probe?: Probe;
  /** Of the server in this process. @default the system's */
  readonly clock?: Clock;
  /** False: no server is started; the test spawns its own. @default true */
  readonly serve?: boolean;
}

/** The service with everything around it that belongs to others, each real on the network or a fake that speaks its protocol. */
export interface World extends AsyncDisposable {
  readonly kind: DatabaseKind;
  readonly auth: FakeAuth;
  readonly openai: FakeOpenAi;
  /** Only where the world was asked for one. */
  readonly accounting: FakeAccounting;
  readonly databaseUrl: string;
  /** Of the server in this process. */
  readonly url: string;
  /** The same behind a proxy that validates, in the runs that have one. */
  readonly restUrl: string;
  readonly app: App;
  /** The JSON log lines of the server in this process. */
  readonly logs: readonly string[];
  /** Variables for a server of this world. */
  readonly env: Readonly<Record<string, string>>;
  token(sub?: string, options?: Omit<Parameters<FakeAuth['token']>[0], 'sub'>): Promise<string>;
  /** The SDK as this user; closed with the world. */
  client(sub?: string, url?: string): ChatClient;
  /** The stock tRPC client as this user; closed with the world. */
  trpc(sub?: string, url?: string): TrpcConnection;
  /** A server in a process of its own, on the same database. */
  spawn(options?: SpawnOptions): Promise<ServerProcess>;
  /** Ends the server in this process and starts it anew. */
  restart(): Promise<void>;
  /** A connection of the test's own to the database, for looking behind the service. */
  openDatabase(): Promise<Database>;
}

export const testModel = 'test-model';

const richPlans = { free: { grant: { credits: 10_000_000, every: 'once' }, quotas: {} } };

/** A catalogue whose models are answered by the fake endpoint. */
function catalogueOf(openai: FakeOpenAi, further: WorldOptions['models'] = []): string {
  const model = {
    provider: 'openai',
    description: 'A model of the fake endpoint.',
    capabilities: ['general'],
    maxTokens: 512_000,
    contextWindow: 1_000_000,
    ratings: { speed: 3, quality: 3 },
    baseUrl: openai.baseUrl,
  };
  return JSON.stringify({
    default: testModel,
    models: [
      { ...model, id: testModel, name: 'Test', providerModel: 'fake-1', creditCost: { input: 1, output: 2 } },
      { ...model, id: 'other-model', name: 'Other', providerModel: 'fake-2', creditCost: { input: 0.5, output: 1 } },
      {
        ...model,
        id: 'backed-model',
        name: 'Backed',
        providerModel: 'fake-3',
        creditCost: { input: 1, output: 1 },
        fallback: 'other-model',
      },
      ...further.map((entry) => ({
        ...model,
        name: entry.id,
        providerModel: entry.id,
        creditCost: { input: 1, output: 1 },
        ...entry,
      })),
    ],
  });
}

export async function startWorld(worldOptions: WorldOptions): Promise<World> {
  const { kind, env = {}, models, plans = richPlans, probe, clock, serve = true } = worldOptions;
  await using starting = new AsyncDisposableStack();
  const auth = starting.use(await startFakeAuth());
  const openai = starting.use(await startFakeOpenAi());
  const accounting =
    worldOptions.accounting === undefined ? null : starting.use(await startFakeAccounting(worldOptions.accounting));
  const database: TestDatabase = starting.use(await createTestDatabase(kind));
  const directory = mkdtempSync(join(tmpdir(), 'chat-service-world-'));
  starting.defer(() => rmSync(directory, { recursive: true, force: true }));
  const modelsFile = join(directory, 'models.json');
  writeFileSync(modelsFile, catalogueOf(openai, models));
  const plansFile = join(directory, 'plans.json');
  writeFileSync(plansFile, JSON.stringify({ plans }));
  const variables: Record<string, string> = {
    NODE_ENV: 'test',
    HOST: '127.0.0.1',
    PORT: '0',
    // Many calls at once may be long in coming to a connection.
    DATABASE_URL: kind === 'postgres' ? `${database.url}?connect_timeout=60` : database.url,
    AUTH_JWKS_URL: auth.jwksUrl,
    MODELS_FILE: modelsFile,
    PLANS_FILE: plansFile,
    // An owner whose machine pauses for a while keeps what it owns; tests of leases set their own.
    LEASE_SECONDS: '60',
    // Tests call more often than people; those of the limit set their own.
    RATE_LIMIT_PER_MINUTE: '1000000',
    SHUTDOWN_GRACE_SECONDS: '5',
    LOG_LEVEL: 'info',
    ...(accounting !== null && {
      ACCOUNTING_URL: accounting.url,
      ACCOUNTING_TOKEN: worldOptions.accounting?.token ?? '',
    }),
    ...(typeof env === 'function' ? env({ auth, openai }) : env),
  };

  const logs: string[] = [];
  const logger = createLogger({ level: 'info', destination: { write: (line: string) => void logs.push(line) } });
  const start = async () => {
    const app = await createApp(configOf(variables), {
      logger,
      ...(probe !== undefined && { probe }),
      ...(clock !== undefined && { clock }),
    });
    const { url } = await app.listen();
    const prism = isThroughPrism ? await startPrism(url) : null;
    return { app, url, prism };
  };
  let running: { app: App; url: string; prism: Prism | null } | null = serve ? await start() : null;
  const current = () => {
    if (running === null) throw new Error('this world serves from processes of its own');
    return running;
  };
  const stop = async () => {
    await running?.prism?.[Symbol.asyncDispose]();
    await running?.app[Symbol.asyncDispose]();
  };
  starting.defer(stop);
  const opened = starting.move();

  const tokenOf = (sub = 'alice', options: Omit<Parameters<FakeAuth['token']>[0], 'sub'> = {}) =>
    auth.token({ sub, ...options });

  return {
    kind,
    auth,
    openai,
    get accounting() {
      if (accounting === null) throw new Error('this world has no Accounting Service');
      return accounting;
    },
    databaseUrl: database.url,
    env: variables,
    logs,
    get url() {
      return current().url;
    },
    get restUrl() {
      const { url, prism } = current();
      return prism?.url ?? url;
    },
    get app() {
      return current().app;
    },
    token: tokenOf,
    client(sub, url = current().url) {
      const client = createChatClient({ url, token: () => tokenOf(sub) });
      opened.defer(() => client.close());
      return client;
    },
    trpc(sub, url = current().url) {
      return opened.use(openTrpcClient(url, () => tokenOf(sub)));
    },
    async spawn(options) {
      return opened.use(await spawnServer(variables, options));
    },
    async restart() {
      await stop();
      running = null;
      running = await start();
    },
    async openDatabase() {
      return opened.use(await openDatabase(database.url, { logger: silentLogger }));
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
