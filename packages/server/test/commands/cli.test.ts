import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeJwt, jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { runBin, temporaryDirectory } from './run-bin.ts';

const secret = 'a secret of thirty-two bytes or more';

describe('chat-service', () => {
  it('tells its commands and its version', async () => {
    await using directory = await temporaryDirectory();
    const cwd = directory.path;
    const help = await runBin(['--help'], { cwd });
    expect(help).toMatchObject({ code: 0, stderr: '' });
    for (const command of ['serve', 'migrate', 'token', 'grant', 'reconcile'])
      expect(help.stdout).toMatch(new RegExp(`^  ${command} `, 'mu'));
    const version = await runBin(['--version'], { cwd });
    expect(version).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/u) });
  });

  it.each([['nonsense'], ['token', '--nonsense']])('answers %s with help and exit code 1', async (...args) => {
    await using directory = await temporaryDirectory();
    const { code, stdout, stderr } = await runBin(args, { cwd: directory.path });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('unknown');
    expect(stderr).toContain('Usage: chat-service');
  });

  it.each([['serve'], ['migrate'], ['token']])('%s refuses a bad configuration with every problem', async (command) => {
    await using directory = await temporaryDirectory();
    const env = { PORT: '1e3', AUTH_JWT_SECRET: 'hunter2', AUTH_JWKS_URL: 'https://auth.example', AUTH_ISSUR: 'x' };
    const { code, stdout, stderr } = await runBin([command], { cwd: directory.path, env });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr.split('\n')).toEqual([
      'chat-service: the configuration has 4 problems:',
      '  - PORT must be a whole number from 0 to 65535',
      '  - AUTH_JWT_SECRET and AUTH_JWKS_URL are set at once: keep one of them',
      '  - AUTH_JWT_SECRET has 7 bytes; at least 32 are needed',
      '  - AUTH_ISSUR is not known; is AUTH_ISSUER meant?',
      '',
    ]);
  });
});

describe('.env', () => {
  it('is read from the working directory, under the real environment', async () => {
    await using directory = await temporaryDirectory();
    const cwd = directory.path;
    await writeFile(join(cwd, '.env'), `AUTH_JWT_SECRET="${secret}"\nAUTH_ISSUER=from-file\nAUTH_AUDIENCE=from-file\n`);
    const { code, stdout } = await runBin(['token'], { cwd, env: { AUTH_ISSUER: 'from-environment' } });
    expect(code).toBe(0);
    const { payload } = await jwtVerify(stdout.trim(), Buffer.from(secret), { algorithms: ['HS256'] });
    expect(payload).toMatchObject({ iss: 'from-environment', aud: 'from-file' });
  });

  it('that cannot be read is a problem', async () => {
    await using directory = await temporaryDirectory();
    await mkdir(join(directory.path, '.env'));
    const { code, stderr } = await runBin(['token'], { cwd: directory.path });
    expect(code).toBe(1);
    expect(stderr).toContain('.env');
  });
});

describe('token', () => {
  it('mints what the configured claims, issuer and audience ask for', async () => {
    await using directory = await temporaryDirectory();
    const env = {
      AUTH_JWT_SECRET: `${secret}, ${secret} before`,
      AUTH_ISSUER: 'issuer',
      AUTH_AUDIENCE: 'audience',
      AUTH_ROLE_CLAIM: 'realm.role',
      AUTH_PLAN_CLAIM: 'tier',
      AUTH_ISSUR: 'x',
    };
    const args = '--sub alice --role supervisor --username Alice --email a@example.com --plan pro --expires-in 30m';
    const { code, stdout, stderr } = await runBin(['token', ...args.split(' ')], { cwd: directory.path, env });
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: 'chat-service: warning: AUTH_ISSUR is not known; is AUTH_ISSUER meant?\n',
    });
    expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/u);
    const { payload } = await jwtVerify(stdout.trim(), Buffer.from(secret), {
      algorithms: ['HS256'],
      issuer: 'issuer',
      audience: 'audience',
    });
    expect(payload).toMatchObject({
      sub: 'alice',
      username: 'Alice',
      email: 'a@example.com',
      'realm.role': 'supervisor',
      tier: 'pro',
    });
    expect(Number(payload.exp) - Number(payload.iat)).toBe(1800);
  });

  it('makes one secret and keeps it, also when several start at once', async () => {
    await using directory = await temporaryDirectory();
    const cwd = directory.path;
    const results = await Promise.all([1, 2, 3].map(() => runBin(['token'], { cwd })));
    const file = join(cwd, 'data', 'auth-secret');
    const generated = (await readFile(file, 'utf8')).trim();
    expect(Buffer.byteLength(generated)).toBeGreaterThanOrEqual(32);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await chmod(file, 0o644);
    for (const { stdout } of [...results, await runBin(['token'], { cwd })]) {
      const { payload } = await jwtVerify(stdout.trim(), Buffer.from(generated), { algorithms: ['HS256'] });
      expect(payload.sub).toBe('dev');
      expect(Number(payload.exp) - Number(payload.iat)).toBe(12 * 3600);
    }
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(decodeJwt(results[0]?.stdout ?? '')).not.toHaveProperty('username');
  });

  it('says so when the kept secret is of no use', async () => {
    await using directory = await temporaryDirectory();
    await mkdir(join(directory.path, 'data'));
    await writeFile(join(directory.path, 'data', 'auth-secret'), 'hunter2');
    const { code, stdout, stderr } = await runBin(['token'], { cwd: directory.path });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('auth-secret');
    expect(stderr).not.toContain('hunter2');
  });

  it.each([
    [['--role', 'god'], 'god'],
    [['--expires-in', '12'], '30m'],
    [['--expires-in', '0h'], '30m'],
    [['--sub', ''], '--sub'],
  ])('refuses %j', async (args, words) => {
    await using directory = await temporaryDirectory();
    const { code, stdout, stderr } = await runBin(['token', ...args], { cwd: directory.path });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(words);
  });

  it('refuses where it has no key to sign with', async () => {
    await using directory = await temporaryDirectory();
    const { code, stdout, stderr } = await runBin(['token'], {
      cwd: directory.path,
      env: { AUTH_JWKS_URL: 'https://auth.example.com/jwks' },
    });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('AUTH_JWKS_URL');
  });
});

describe('migrate', () => {
  it('brings a fresh SQLite file up to date, and again', async () => {
    await using directory = await temporaryDirectory();
    const env = { DATABASE_URL: 'file:./deep/chat.db' };
    for (const _ of ['first', 'second']) {
      const { code, stdout, stderr } = await runBin(['migrate'], { cwd: directory.path, env });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain(join('deep', 'chat.db'));
    }
    expect((await stat(join(directory.path, 'deep', 'chat.db'))).size).toBeGreaterThan(0);
  });

  it('fails in words where there is no database, without its password', async () => {
    await using directory = await temporaryDirectory();
    const env = { DATABASE_URL: 'postgres://chat:hunter2@127.0.0.1:1/chat' };
    const { code, stdout, stderr } = await runBin(['migrate'], { cwd: directory.path, env });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('127.0.0.1:1');
    expect(stderr).not.toContain('hunter2');
  });
});
