import { generateKeyPairSync } from 'node:crypto';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig, type LoadedConfig } from '../../src/config/config.ts';
import type { RawEnv } from '../../src/config/env.ts';

const secret = 'a secret of thirty-two bytes or more';
const missingFile = () => {
  throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
};

function problemsOf(env: RawEnv): readonly string[] {
  const loaded = loadConfig(env, { readTextFile: missingFile });
  return loaded.ok ? [] : loaded.problems;
}

function configOf(env: RawEnv): LoadedConfig {
  const loaded = loadConfig(env, { readTextFile: missingFile });
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  return loaded.config;
}

describe('defaults', () => {
  it('serves on loopback with a generated secret beside the SQLite file', () => {
    expect(configOf({})).toMatchObject({
      environment: 'development',
      http: {
        host: '127.0.0.1',
        port: 3000,
        maxBodyBytes: 1_048_576,
        corsOrigins: [],
        loopbackOrigins: true,
        webSocketAuthMs: 5_000,
        streamStallMs: 10_000,
        trustedProxies: 0,
      },
      limits: { callsPerMinute: 100 },
      database: { url: 'file:./data/chat.db' },
      auth: { kind: 'generated', file: resolve('data/auth-secret'), roleClaim: 'role', planClaim: 'plan' },
      models: { demo: true, openai: {}, apiKeys: new Map() },
      generations: { maxConcurrent: 5, leaseMs: 15_000, streamBufferMs: 60_000 },
      logging: { level: 'info', payloads: 'redacted' },
      shutdownGraceMs: 25_000,
      commit: null,
    });
  });

  it('takes empty and blank values for not set', () => {
    const blank = { PORT: '', HOST: '  ', AUTH_JWT_SECRET: '', AUTH_JWKS_URL: '', DEMO_MODEL: '', CORS_ORIGINS: '' };
    const comparable = ({ models, ...rest }: LoadedConfig) => ({ ...rest, default: models.catalogue.default });
    expect(comparable(configOf(blank))).toEqual(comparable(configOf({})));
  });

  it('assumes nothing in production', () => {
    const config = configOf({ NODE_ENV: 'production', AUTH_JWT_SECRET: secret });
    expect(config).toMatchObject({ http: { loopbackOrigins: false }, models: { demo: false } });
    const withDemo = configOf({ NODE_ENV: 'production', AUTH_JWT_SECRET: secret, DEMO_MODEL: 'true' });
    expect(withDemo.models.demo).toBe(true);
  });
});

describe('problems', () => {
  it('lists every one in one go and repeats no value', () => {
    const env = {
      NODE_ENV: 'production',
      HOST: 'no host',
      PORT: '1e3',
      DATABASE_URL: 'mysql://user:hunter2@db',
      AUTH_JWT_SECRET: 'hunter2',
      AUTH_JWKS_URL: 'hunter2',
      CORS_ORIGINS: 'https://a.example/hunter2',
      DEMO_MODEL: 'yes',
      LEASE_SECONDS: '0',
      LOG_LEVEL: 'hunter2',
      OPENAI_BASE_URL: 'ftp://hunter2',
    };
    const problems = problemsOf(env);
    for (const name of Object.keys(env).filter((one) => one !== 'NODE_ENV')) {
      expect(
        problems.filter((problem) => problem.startsWith(name)),
        name,
      ).not.toEqual([]);
    }
    expect(problems).toContain('AUTH_JWT_SECRET and AUTH_JWKS_URL are set at once: keep one of them');
    expect(problems).toContain('AUTH_JWT_SECRET has 7 bytes; at least 32 are needed');
    expect(problems.join('\n')).not.toContain('hunter2');
  });

  it.each(['1e3', '0x10', '-1', '+1', '1.5', ' 80', '080', '65536', 'abc', '99999999999999999999'])(
    'PORT=%s',
    (PORT) => {
      expect(problemsOf({ PORT })).toEqual(['PORT must be a whole number from 0 to 65535']);
    },
  );

  it.each(['0', '80', '65535'])('PORT=%s is fine', (PORT) => {
    expect(configOf({ PORT }).http.port).toBe(Number(PORT));
  });

  it.each(['0', '11', '-1', '01', 'TRUE', 'loopback', '10.0.0.1'])('TRUST_PROXY=%s', (TRUST_PROXY) => {
    expect(problemsOf({ TRUST_PROXY })).toEqual(['TRUST_PROXY must be true, false, or a whole number from 1 to 10']);
  });

  it.each([
    ['false', 0],
    ['true', 1],
    ['1', 1],
    ['10', 10],
  ])('TRUST_PROXY=%s is %i', (TRUST_PROXY, count) => {
    expect(configOf({ TRUST_PROXY }).http.trustedProxies).toBe(count);
  });

  it.each(['0', '1000001', 'none'])('RATE_LIMIT_PER_MINUTE=%s', (RATE_LIMIT_PER_MINUTE) => {
    expect(problemsOf({ RATE_LIMIT_PER_MINUTE })).toEqual([
      'RATE_LIMIT_PER_MINUTE must be a whole number from 1 to 1000000',
    ]);
  });

  it.each(['TRUE', '1', 'yes', 'on'])('DEMO_MODEL=%s', (DEMO_MODEL) => {
    expect(problemsOf({ DEMO_MODEL })).toEqual(['DEMO_MODEL must be true or false']);
  });

  it.each([
    [{ NODE_ENV: 'production' }, 'NODE_ENV is production'],
    [{ HOST: '0.0.0.0' }, 'HOST is not a loopback address'],
    [{ HOST: '::' }, 'HOST is not a loopback address'],
    [{ HOST: 'chat.example.com', NODE_ENV: 'test' }, 'HOST is not a loopback address'],
  ])('no authentication key with %j', (env, words) => {
    const problems = problemsOf(env);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(words);
    expect(problemsOf({ ...env, AUTH_JWT_SECRET: secret })).toEqual([]);
  });

  it.each(['127.0.0.1', '127.9.9.9', '::1', '[::1]', 'localhost'])('a generated secret on HOST=%s is fine', (HOST) => {
    expect(configOf({ HOST }).auth.kind).toBe('generated');
  });

  it('a malformed key is told once, not also as missing', () => {
    expect(problemsOf({ NODE_ENV: 'production', AUTH_JWKS_URL: 'nowhere' })).toEqual([
      'AUTH_JWKS_URL is not an http or https URL',
    ]);
  });
});

describe('models', () => {
  const model = {
    id: 'local',
    name: 'Local',
    provider: 'openai',
    providerModel: 'llama',
    description: '',
    capabilities: ['general'],
    creditCost: { input: 0, output: 0 },
    maxTokens: 100,
    contextWindow: 1000,
    ratings: { speed: 1, quality: 1 },
    apiKeyEnv: 'LOCAL_KEY',
  };
  const file = (content: unknown) => ({
    readTextFile: (path: string) => (path === 'models.json' ? JSON.stringify(content) : ''),
  });
  const env = { MODELS_FILE: 'models.json', LOCAL_KEY: 'k', OPENAI_API_KEY: 'o' };

  it('come from MODELS_FILE, with the keys that they name and no other', () => {
    const loaded = loadConfig({ ...env, OTHER_KEY: 'x' }, file({ default: 'local', models: [model] }));
    if (!loaded.ok) throw new Error(loaded.problems.join());
    const { catalogue, apiKeys, openai } = loaded.config.models;
    expect(catalogue.default).toBe('local');
    expect([...apiKeys]).toEqual([['LOCAL_KEY', 'k']]);
    expect(openai.apiKey).toBe('o');
  });

  it('tell what is wrong with the file beside what is wrong elsewhere', () => {
    const loaded = loadConfig(
      { ...env, PORT: 'x' },
      file({ default: 'other', models: [{ ...model, creditCost: {} }] }),
    );
    const problems = loaded.ok ? [] : loaded.problems;
    expect(problems).toEqual([
      expect.stringMatching(/^PORT /u),
      expect.stringMatching(/^MODELS_FILE: model "local" creditCost/u),
      expect.stringMatching(/^MODELS_FILE: model "local" creditCost/u),
      'MODELS_FILE: default: unknown model "other"',
    ]);
    expect(problemsOf({ MODELS_FILE: 'nowhere.json' })).toEqual(['MODELS_FILE: the file cannot be read (ENOENT)']);
  });
});

describe('authentication', () => {
  it('splits secrets for rotation', () => {
    const auth = configOf({ AUTH_JWT_SECRET: `${secret},${secret}2`, AUTH_ISSUER: 'me', AUTH_ROLE_CLAIM: 'a.b' }).auth;
    expect(auth).toMatchObject({ kind: 'secret', secrets: [secret, `${secret}2`], issuer: 'me', roleClaim: 'a.b' });
  });

  it('takes a PEM with line breaks written out', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const { auth } = configOf({ NODE_ENV: 'production', AUTH_JWT_PUBLIC_KEY: pem.replaceAll('\n', '\\n') });
    expect(auth).toMatchObject({ kind: 'public-key', pem });
  });

  it('keeps the generated secret in ./data for PostgreSQL and beside a SQLite file', () => {
    expect(configOf({ DATABASE_URL: 'postgres://u:p@127.0.0.1/chat' }).auth).toMatchObject({
      file: resolve('data/auth-secret'),
    });
    expect(configOf({ DATABASE_URL: 'file:/var/lib/chat/chat.db' }).auth).toMatchObject({
      file: '/var/lib/chat/auth-secret',
    });
  });
});

describe('the Accounting Service', () => {
  const ACCOUNTING_URL = 'https://accounting.example.com/v1/';

  it('is asked where its address is known', () => {
    expect(configOf({}).accounting.service).toBeNull();
    expect(configOf({ ACCOUNTING_URL }).accounting.service).toEqual({
      url: ACCOUNTING_URL,
      token: undefined,
      failOpen: false,
    });
    const env = { ACCOUNTING_URL, ACCOUNTING_TOKEN: 'to-ken', ACCOUNTING_FAIL_OPEN: 'true' };
    expect(configOf(env).accounting.service).toEqual({ url: ACCOUNTING_URL, token: 'to-ken', failOpen: true });
  });

  it.each(['accounting', 'ftp://a.example', 'https://hunter2@a.example', 'https://a.example?x=hunter2', 'http://a/#b'])(
    'has no address like %s',
    (url) => {
      const problems = problemsOf({ ACCOUNTING_URL: url, ACCOUNTING_TOKEN: 'hunter2', ACCOUNTING_FAIL_OPEN: 'true' });
      expect(problems).toEqual(['ACCOUNTING_URL must be an http or https URL without user, query and fragment']);
    },
  );

  it('is missed where something is set for it', () => {
    expect(problemsOf({ ACCOUNTING_TOKEN: 'hunter2', ACCOUNTING_FAIL_OPEN: 'true' })).toEqual([
      'ACCOUNTING_TOKEN is set, and ACCOUNTING_URL is not: whom is it for?',
      'ACCOUNTING_FAIL_OPEN is true, and ACCOUNTING_URL is not set: the embedded ledger always answers',
    ]);
    expect(problemsOf({ ACCOUNTING_FAIL_OPEN: 'false' })).toEqual([]);
    expect(problemsOf({ ACCOUNTING_URL, ACCOUNTING_TOKEN: 'two words' })).toEqual([
      'ACCOUNTING_TOKEN must consist of visible ASCII characters, without blanks',
    ]);
  });
});

describe('CORS_ORIGINS', () => {
  it('normalises origins', () => {
    const CORS_ORIGINS = 'https://Chat.Example.com/, http://localhost:80,http://a.example:8080,capacitor://localhost';
    expect(configOf({ CORS_ORIGINS }).http.corsOrigins).toEqual([
      'https://chat.example.com',
      'http://localhost',
      'http://a.example:8080',
      'capacitor://localhost',
    ]);
  });

  it.each([
    '*',
    'null',
    'chat.example.com',
    'https://*.example.com',
    'https://a.example/path',
    'https://u:p@a.example',
    'https://a.example,',
  ])('refuses %s', (CORS_ORIGINS) => {
    expect(problemsOf({ CORS_ORIGINS })).toHaveLength(1);
  });
});
