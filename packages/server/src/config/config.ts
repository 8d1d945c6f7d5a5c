import { isIP } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { checkAuthKeys, splitSecrets, type AuthConfig, type AuthKeys } from '../clients/auth/auth-config.ts';
import type { Plans } from '../clients/accounting/embedded/plans.ts';
import { parseDatabaseUrl, type DatabaseLocation } from '../db/database-url.ts';
import type { LogLevel, PayloadMode } from '../platform/logger.ts';
import { isLoopbackHost } from '../platform/loopback.ts';
import { readAccountingService, type AccountingServiceConfig } from './accounting-config.ts';
import { readEnv, type Env, type RawEnv } from './env.ts';
import { loadModels, type ModelsConfig } from './models-config.ts';
import { readOrigins } from './origins.ts';
import { loadPlans } from './plans-config.ts';
import type { ReadTextFile } from './read-named-file.ts';

/** What the service runs with. All times are milliseconds. */
export interface Config {
  readonly environment: 'development' | 'production' | 'test';
  readonly http: {
    readonly host: string;
    /** 0 takes a free one. */
    readonly port: number;
    /** Most bytes of a body and of a WebSocket frame. */
    readonly maxBodyBytes: number;
    /** Normalised: scheme and host in lower case, no default port, no trailing slash. */
    readonly corsOrigins: readonly string[];
    /** Whether pages of any loopback origin may call. */
    readonly loopbackOrigins: boolean;
    readonly webSocketAuthMs: number;
    /** In front of the service, one behind the other. */
    readonly trustedProxies: number;
    /** A reader that has taken nothing for so long is cut. */
    readonly streamStallMs: number;
  };
  readonly database: { readonly url: string };
  readonly auth: AuthConfig;
  readonly models: ModelsConfig;
  readonly accounting: {
    /** Null: the embedded ledger keeps the credits. */
    readonly service: AccountingServiceConfig | null;
    /** What the embedded ledger gives and allows. */
    readonly plans: Plans;
  };
  readonly limits: {
    /** For each user, and for each address without a valid token. */
    readonly callsPerMinute: number;
  };
  readonly generations: {
    /** For each user. */
    readonly maxConcurrent: number;
    readonly leaseMs: number;
    /** How long the events of an ended generation stay replayable. */
    readonly streamBufferMs: number;
  };
  readonly supervision: {
    /** Whether users are shown how many watch. */
    readonly notice: boolean;
    /** Whether a look without a reason is refused. */
    readonly requireReason: boolean;
  };
  readonly logging: { readonly level: LogLevel; readonly payloads: PayloadMode };
  readonly shutdownGraceMs: number;
  /** The commit that was built. */
  readonly commit: string | null;
}

/** No key is configured: one is made at the first start and kept in `file`, an absolute path. */
export type GeneratedAuth = Omit<AuthConfig, keyof AuthKeys> & { readonly kind: 'generated'; readonly file: string };

/** As configured: where no key was, one has yet to be made before anything can be verified. */
export type LoadedConfig = Omit<Config, 'auth'> & { readonly auth: AuthConfig | GeneratedAuth };

export type LoadResult =
  | { readonly ok: true; readonly config: LoadedConfig }
  | { readonly ok: false; /** One sentence each, without secrets. */ readonly problems: readonly string[] };

/** Reads and checks the whole configuration, and tells every problem at once. */
export function loadConfig(raw: RawEnv, { readTextFile }: { readTextFile: ReadTextFile }): LoadResult {
  const { env, problems: malformed } = readEnv(raw);
  const problems = [...malformed];
  const host = readHost(env.HOST, problems);
  const location = readDatabase(env.DATABASE_URL, problems);
  const origins = readOrigins(env.CORS_ORIGINS ?? '');
  problems.push(...origins.problems);
  const auth = readAuth(env, host, location, problems);
  const plans = loadPlans(env, readTextFile);
  if (!plans.ok) problems.push(...plans.problems);
  const service = readAccountingService(env, problems);
  const models = loadModels(env, raw, readTextFile);
  if (!models.ok) return { ok: false, problems: [...problems, ...models.problems] };
  if (!plans.ok || problems.length > 0) return { ok: false, problems };

  const production = env.NODE_ENV === 'production';
  return {
    ok: true,
    config: {
      environment: env.NODE_ENV,
      http: {
        host,
        port: env.PORT,
        maxBodyBytes: env.MAX_BODY_BYTES,
        corsOrigins: origins.origins,
        loopbackOrigins: !production,
        webSocketAuthMs: env.WS_AUTH_SECONDS * 1000,
        trustedProxies: env.TRUST_PROXY ?? 0,
        streamStallMs: env.STREAM_STALL_SECONDS * 1000,
      },
      database: { url: env.DATABASE_URL },
      auth,
      models: models.config,
      accounting: { service, plans: plans.plans },
      limits: { callsPerMinute: env.RATE_LIMIT_PER_MINUTE },
      generations: {
        maxConcurrent: env.MAX_CONCURRENT_GENERATIONS,
        leaseMs: env.LEASE_SECONDS * 1000,
        streamBufferMs: env.STREAM_BUFFER_SECONDS * 1000,
      },
      supervision: { notice: env.SUPERVISION_NOTICE === 'on', requireReason: env.SUPERVISION_REQUIRE_REASON },
      logging: { level: env.LOG_LEVEL, payloads: env.LOG_PAYLOADS },
      shutdownGraceMs: env.SHUTDOWN_GRACE_SECONDS * 1000,
      commit: env.GIT_COMMIT ?? null,
    },
  };
}

function readHost(text: string, problems: string[]): string {
  const host = text.replace(/^\[(.*)\]$/u, '$1');
  const name = /^(?!-)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*$/iu;
  if (isIP(host) === 0 && !name.test(host)) problems.push('HOST must be an IP address or a host name, without a port');
  return host;
}

function readDatabase(url: string, problems: string[]): DatabaseLocation | null {
  try {
    return parseDatabaseUrl(url);
  } catch (error) {
    problems.push(error instanceof Error ? error.message : 'DATABASE_URL cannot be read');
    return null;
  }
}

function readAuth(
  env: Env,
  host: string,
  location: DatabaseLocation | null,
  problems: string[],
): AuthConfig | GeneratedAuth {
  const claims = {
    issuer: env.AUTH_ISSUER,
    audience: env.AUTH_AUDIENCE,
    roleClaim: env.AUTH_ROLE_CLAIM,
    planClaim: env.AUTH_PLAN_CLAIM,
  };
  const kinds: Array<{ name: string; keys: AuthKeys }> = [];
  if (env.AUTH_JWT_SECRET !== undefined) {
    kinds.push({ name: 'AUTH_JWT_SECRET', keys: { kind: 'secret', secrets: splitSecrets(env.AUTH_JWT_SECRET) } });
  }
  if (env.AUTH_JWT_PUBLIC_KEY !== undefined) {
    const pem = env.AUTH_JWT_PUBLIC_KEY.replaceAll('\\n', '\n');
    kinds.push({ name: 'AUTH_JWT_PUBLIC_KEY', keys: { kind: 'public-key', pem } });
  }
  if (env.AUTH_JWKS_URL !== undefined) {
    kinds.push({ name: 'AUTH_JWKS_URL', keys: { kind: 'jwks', url: env.AUTH_JWKS_URL } });
  }
  if (kinds.length > 1) {
    problems.push(`${kinds.map(({ name }) => name).join(' and ')} are set at once: keep one of them`);
  }
  problems.push(...kinds.flatMap(({ keys }) => checkAuthKeys(keys)));

  const [configured] = kinds;
  if (configured !== undefined) return { ...configured.keys, ...claims };
  const needed = 'set AUTH_JWT_SECRET, AUTH_JWT_PUBLIC_KEY or AUTH_JWKS_URL';
  if (env.NODE_ENV === 'production')
    problems.push(`no authentication key is configured, and NODE_ENV is production: ${needed}`);
  else if (!isLoopbackHost(host)) {
    problems.push(`no authentication key is configured, and HOST is not a loopback address: ${needed}`);
  }
  const folder = location?.kind === 'sqlite' ? dirname(location.file) : resolve('data');
  return { kind: 'generated', file: join(folder, 'auth-secret'), ...claims };
}
