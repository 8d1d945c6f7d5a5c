import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acquireProcessLock } from '../../src/db/sqlite/process-lock.ts';
import { systemClock, type Clock } from '../../src/platform/clock.ts';

const lockChild = fileURLToPath(new URL('../support/lock-process.ts', import.meta.url));

describe('process lock', () => {
  let directory: string;
  let file: string;
  let children: ChildProcess[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'chat-service-lock-'));
    file = join(directory, 'data', 'chat.db');
    children = [];
  });
  afterEach(() => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });

  async function lockInChild(): Promise<ChildProcess> {
    const child = spawn(process.execPath, ['--conditions=@chat-service/source', lockChild, file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    if (child.stdout === null) throw new Error('no output');
    await Promise.race([
      once(child.stdout, 'data'),
      once(child, 'exit').then(() => Promise.reject(new Error('the child ended without the lock'))),
    ]);
    return child;
  }

  const tryOnce = () => acquireProcessLock(file, { waitMilliseconds: 0, clock: systemClock, processId: 1 });

  it('refuses a second process in words, with the first one named', async () => {
    const child = await lockInChild();
    await expect(tryOnce()).rejects.toThrow(
      `the database file ${file} is in use by another server (process ${child.pid}). Only one server`,
    );
  });

  it('is let go by a process that was killed', async () => {
    const child = await lockInChild();
    child.kill('SIGKILL');
    await once(child, 'exit');
    await using lock = await tryOnce();
    expect(lock).toBeDefined();
  });

  it('waits for the first to go', async () => {
    const child = await lockInChild();
    const attempts: number[] = [];
    // Each attempt that failed turns this clock; the child is killed after the second.
    const clock: Clock = {
      now: () => attempts.length,
      after(_milliseconds, callback) {
        attempts.push(attempts.length);
        if (attempts.length === 2) child.kill('SIGKILL');
        return systemClock.after(10, callback);
      },
    };
    await using lock = await acquireProcessLock(file, { waitMilliseconds: 2_000, clock, processId: 1 });
    expect(lock).toBeDefined();
    expect(attempts.length).toBeGreaterThanOrEqual(2);
  });

  it('gives up when the wait is over', async () => {
    await using first = await tryOnce();
    expect(first).toBeDefined();
    let time = 0;
    const clock: Clock = {
      now: () => time,
      after(milliseconds, callback) {
        time += milliseconds;
        return systemClock.after(0, callback);
      },
    };
    await expect(acquireProcessLock(file, { waitMilliseconds: 1_000, clock, processId: 1 })).rejects.toThrow(
      'in use by another server',
    );
    expect(time).toBe(1_000);
  });

  it('can be taken again after it was disposed, and leaves no name behind', async () => {
    const first = await tryOnce();
    await first[Symbol.asyncDispose]();
    expect(existsSync(`${file}.lock.pid`)).toBe(false);
    await using second = await tryOnce();
    expect(second).toBeDefined();
    // Disposing twice must not take the name of the next owner away.
    await first[Symbol.asyncDispose]();
    expect(existsSync(`${file}.lock.pid`)).toBe(true);
  });

  it('is one lock under every name of the file', async () => {
    await using first = await tryOnce();
    expect(first).toBeDefined();
    const alias = join(directory, 'alias.db');
    symlinkSync(file, alias);
    await expect(acquireProcessLock(alias, { waitMilliseconds: 0, clock: systemClock, processId: 1 })).rejects.toThrow(
      'in use by another server',
    );
  });

  it.skipIf(process.platform === 'win32')('makes what it makes readable to its owner alone', async () => {
    await using lock = await tryOnce();
    expect(lock).toBeDefined();
    expect(statSync(join(directory, 'data')).mode & 0o777).toBe(0o700);
    for (const name of [file, `${file}.lock`, `${file}.lock.pid`]) expect(statSync(name).mode & 0o777).toBe(0o600);
  });
});
