import { z } from 'zod';
import { logLevels, payloadModes } from '../platform/logger.ts';
import { flag, httpUrl, oneOf, proxyCount, variableDocs, wholeNumber, type VariableDocs } from './variables.ts';

function variable<T extends z.ZodType>(schema: T, docs: VariableDocs): T {
  variableDocs.add(schema, docs);
  return schema;
}

const server = 'Server';
const database = 'Database';
const authentication = 'Authentication';
const models = 'Models';
const accounting = 'Accounting';
const limits = 'Limits and streams';
const supervision = 'Supervision';
const logging = 'Logging';

/**
 * Every environment variable of the service, flat and one by one; what holds between them is judged in config.ts.
 * .env.example and docs/configuration.md are generated from it.
 */
export const envSchema = z.object({
  HOST: variable(z.string().default('127.0.0.1'), {
    section: server,
    description: 'Address to listen on. Anything but loopback needs a configured authentication key.',
    example: '0.0.0.0',
  }),
  PORT: variable(wholeNumber(0, 65_535).default(3000), {
    section: server,
    description: 'Port of all doors. 0 takes a free one.',
    example: '3000',
  }),
  NODE_ENV: variable(oneOf(['development', 'production', 'test']).default('development'), {
    section: server,
    description:
      'With `production` nothing is generated or assumed that a stranger could use: an authentication key is required, loopback origins are not let in by themselves, the demo model is off.',
    example: 'production',
  }),
  CORS_ORIGINS: variable(z.string().optional(), {
    section: server,
    description:
      'Origins of web pages that may call the service, separated by commas. Outside production every loopback origin is allowed too.',
    example: 'https://chat.example.com,https://admin.example.com',
  }),
  TRUST_PROXY: variable(proxyCount().optional(), {
    section: server,
    description:
      'How many proxies of your own requests come through, one behind the other: the client is the address so many from the right in `X-Forwarded-For`. `true` is one; with `false` that header counts for nothing. Set it only where every request comes through them.',
    otherwise: '`false`',
    example: 'true',
  }),
  SHUTDOWN_GRACE_SECONDS: variable(wholeNumber(0, 3600).default(25), {
    section: server,
    description:
      'After SIGTERM, how long running generations may take to end before they are stopped and stored as interrupted; at start, how long to wait for another server to let go of the SQLite file. The process is gone at most 5 seconds later.',
    example: '25',
  }),
  GIT_COMMIT: variable(
    z
      .string()
      .regex(/^[\w.+/-]{1,100}$/u, 'must be up to 100 letters, digits and . _ + / -')
      .optional(),
    {
      section: server,
      description: 'The commit that was built, as `system.version` tells it. Set it in the image or the deployment.',
      example: '4f9c2ab',
    },
  ),
  DATABASE_URL: variable(z.string().default('file:./data/chat.db'), {
    section: database,
    description:
      '`file:<path>` is a SQLite file, relative to the working directory, for one server; `postgres://…` is PostgreSQL, for production and several servers (`sslmode` is honoured).',
    example: 'postgres://chat:password@db.example.com:5432/chat?sslmode=require',
  }),
  AUTH_JWT_SECRET: variable(z.string().optional(), {
    section: authentication,
    description:
      'Secret of at least 32 bytes that tokens are signed with (HS256); `openssl rand -base64 48` makes one. During rotation a list separated by commas: all verify, the first signs development tokens. At most one of the three AUTH_JWT_SECRET, AUTH_JWT_PUBLIC_KEY and AUTH_JWKS_URL may be set.',
    otherwise: 'outside production and on a loopback HOST: generated and kept beside the database',
    example: 'change-me',
  }),
  AUTH_JWT_PUBLIC_KEY: variable(z.string().optional(), {
    section: authentication,
    description:
      'Public key in PEM that tokens are verified with (RS256, ES256 or EdDSA, as the key is). Line breaks may be written as `\\n`.',
    example: '"-----BEGIN PUBLIC KEY-----\\n…\\n-----END PUBLIC KEY-----"',
  }),
  AUTH_JWKS_URL: variable(z.string().optional(), {
    section: authentication,
    description: 'Address of the JSON Web Key Set that tokens are verified with.',
    example: 'https://auth.example.com/.well-known/jwks.json',
  }),
  AUTH_ISSUER: variable(z.string().optional(), {
    section: authentication,
    description: 'The `iss` that tokens must carry. Unset: not checked.',
    example: 'https://auth.example.com',
  }),
  AUTH_AUDIENCE: variable(z.string().optional(), {
    section: authentication,
    description: 'The `aud` that tokens must carry. Unset: not checked.',
    example: 'chat-service',
  }),
  AUTH_ROLE_CLAIM: variable(z.string().default('role'), {
    section: authentication,
    description: 'Dotted path of the claim that holds the role (or a list of roles).',
    example: 'realm_access.roles',
  }),
  AUTH_PLAN_CLAIM: variable(z.string().default('plan'), {
    section: authentication,
    description: 'Dotted path of the claim that holds the plan.',
    example: 'subscription.plan',
  }),
  MODELS_FILE: variable(z.string().optional(), {
    section: models,
    description: 'JSON file that replaces the built-in catalogue of models, relative to the working directory.',
    otherwise: 'the built-in catalogue',
    example: './models.json',
  }),
  DEMO_MODEL: variable(flag().optional(), {
    section: models,
    description: 'Whether the embedded demo model answers. It needs no key and is no language model.',
    otherwise: '`true` outside production, `false` in production',
    example: 'false',
  }),
  OPENAI_API_KEY: variable(z.string().optional(), {
    section: models,
    description: 'Key of the provider `openai`. A model whose catalogue entry has `apiKeyEnv` takes its own variable.',
    example: 'sk-…',
  }),
  OPENAI_BASE_URL: variable(httpUrl().optional(), {
    section: models,
    description: 'Address of any server that speaks Chat Completions (vLLM, Ollama, LM Studio, OpenRouter).',
    otherwise: "OpenAI's own address",
    example: 'http://127.0.0.1:11434/v1',
  }),
  PLANS_FILE: variable(z.string().optional(), {
    section: accounting,
    description:
      'JSON file that replaces the built-in plans: the credits that each gives and the quotas that it sets, relative to the working directory.',
    otherwise: 'the built-in plans',
    example: './plans.json',
  }),
  ACCOUNTING_URL: variable(z.string().optional(), {
    section: accounting,
    description:
      'Address of the Accounting Service that keeps credits and quotas, with a path if it has one; `/api/…` is appended.',
    otherwise: 'the embedded ledger, in the database of this service',
    example: 'https://accounting.example.com',
  }),
  ACCOUNTING_TOKEN: variable(z.string().optional(), {
    section: accounting,
    description: 'What this service shows the Accounting Service as `Authorization: Bearer …`.',
    example: 'change-me',
  }),
  ACCOUNTING_FAIL_OPEN: variable(flag().default(false), {
    section: accounting,
    description:
      'With `true`, messages are answered while the Accounting Service cannot be asked whether there is credit for them: nothing is reserved then, and what they use is charged in full later. Otherwise they get 503.',
    example: 'false',
  }),
  RATE_LIMIT_PER_MINUTE: variable(wholeNumber(1, 1_000_000).default(100), {
    section: limits,
    description:
      'Calls that one user may make in a minute, over all doors; each call of a batch and each call on a WebSocket is one. An address gets as many requests without a valid token. Resumptions are counted apart, five times as many, and wait.',
    example: '100',
  }),
  MAX_CONCURRENT_GENERATIONS: variable(wholeNumber(1, 1000).default(5), {
    section: limits,
    description: 'Answers that one user may have written at the same time.',
    example: '5',
  }),
  MAX_BODY_BYTES: variable(wholeNumber(1024, 104_857_600).default(1_048_576), {
    section: limits,
    description: 'Largest request body and WebSocket frame in bytes. A longest message takes up to 128,000.',
    example: '1048576',
  }),
  STREAM_BUFFER_SECONDS: variable(wholeNumber(0, 86_400).default(60), {
    section: limits,
    description: 'How long the events of an ended generation can be replayed one by one.',
    example: '60',
  }),
  STREAM_STALL_SECONDS: variable(wholeNumber(1, 3600).default(10), {
    section: limits,
    description: 'A reader that has taken nothing for this long is cut; it can resume.',
    example: '10',
  }),
  LEASE_SECONDS: variable(wholeNumber(3, 3600).default(15), {
    section: limits,
    description:
      'How long a generation belongs to a server that shows no sign of life; renewed every third of it. After it another server, or the next start, recovers what had been written.',
    example: '15',
  }),
  WS_AUTH_SECONDS: variable(wholeNumber(1, 300).default(5), {
    section: limits,
    description: 'A WebSocket that has not authenticated within this time is closed.',
    example: '5',
  }),
  SUPERVISION_NOTICE: variable(oneOf(['off', 'on']).default('off'), {
    section: supervision,
    description:
      'Whether users are shown how many supervisors watch: `on` fills the `observers` of their sessions and tells it in their streams.',
    example: 'on',
  }),
  SUPERVISION_REQUIRE_REASON: variable(flag().default(false), {
    section: supervision,
    description:
      'Whether supervisors must give a reason for every look; it is kept in the audit log. Reading the audit log itself takes none.',
    example: 'true',
  }),
  LOG_LEVEL: variable(oneOf(logLevels).default('info'), {
    section: logging,
    description: `Lowest level that is logged: ${logLevels.map((level) => `\`${level}\``).join(', ')}.`,
    example: 'warn',
  }),
  LOG_PAYLOADS: variable(oneOf(payloadModes).default('redacted'), {
    section: logging,
    description:
      'What the log holds of request payloads: `none`; `redacted`, their structure with every text replaced by its length; `full`, message text included. Credentials are never logged.',
    example: 'none',
  }),
});

export type Env = z.infer<typeof envSchema>;
export type VariableName = keyof typeof envSchema.shape;
export const variableNames = Object.keys(envSchema.shape) as VariableName[];

/** The environment as a process has it: every value a string, unknown names among them. */
export type RawEnv = Readonly<Record<string, string | undefined>>;

/**
 * Reads what is ours from `raw`; empty and blank values count as not set. A malformed value is a problem, which names
 * the variable and never the value, and its default goes on into the checks between variables: one run tells everything.
 */
export function readEnv(raw: RawEnv): { env: Env; problems: string[] } {
  const set: Record<string, string> = {};
  for (const name of variableNames) {
    const value = raw[name];
    if (value !== undefined && value.trim() !== '') set[name] = value;
  }
  const result = envSchema.safeParse(set);
  if (result.success) return { env: result.data, problems: [] };
  const { issues } = result.error;
  for (const { path } of issues) delete set[String(path[0])];
  return { env: envSchema.parse(set), problems: issues.map(({ path, message }) => `${String(path[0])} ${message}`) };
}
