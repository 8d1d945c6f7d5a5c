import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

/** What one start has compiled serves the next. */
const compileCache = fileURLToPath(new URL('../../../../node_modules/.cache/compile', import.meta.url));
const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface BinResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface BinOptions {
  cwd: string;
  env?: Record<string, string>;
}

export interface RunningBin {
  /** Resolves when the process is gone. */
  result: Promise<BinResult>;
  /** Resolves with all of standard output once it holds `words`; rejects when the process ends before. */
  says(words: string): Promise<string>;
  kill(signal: NodeJS.Signals): void;
  /** Nobody reads what it writes from now on: its end of the pipes breaks. */
  stopReading(): void;
}

/** Starts the bin in `cwd` with nothing of the surrounding environment but what `env` holds; it ends with the test at the latest. */
export function startBin(args: readonly string[], { cwd, env = {} }: BinOptions): RunningBin {
  const child = spawn(process.execPath, ['--conditions=@chat-service/source', main, ...args], {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', NODE_COMPILE_CACHE: compileCache, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => void (texts[name] += text));
  }
  const result = new Promise<BinResult>((resolve, reject) => {
    child.on('error', reject).on('close', (code) => resolve({ code, ...texts }));
  });
  return {
    result,
    says: (words) =>
      new Promise((resolve, reject) => {
        const look = () => texts.stdout.includes(words) && resolve(texts.stdout);
        child.stdout.on('data', look);
        look();
        void result.then(({ stderr }) => reject(new Error(`ended without saying "${words}": ${stderr}`)));
      }),
    kill: (signal) => void child.kill(signal),
    stopReading() {
      child.stdout.destroy();
      child.stderr.destroy();
    },
  };
}

export function runBin(args: readonly string[], options: BinOptions): Promise<BinResult> {
  return startBin(args, options).result;
}

/** An empty directory that goes with the scope. */
export async function temporaryDirectory(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'chat-service-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
