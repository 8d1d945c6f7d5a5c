import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ProbePoint } from '@chat-service/server/features/generations/probe';

export interface SpawnOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** The process kills itself with SIGKILL when a generation reaches this point, for the `nth` time (from 1). */
  readonly killAt?: { readonly point: ProbePoint; readonly nth?: number };
  /** The process stops itself with SIGSTOP there instead. */
  readonly stopAt?: { readonly point: ProbePoint; readonly nth?: number };
}

/** A server in a process of its own. Disposing kills it. */
export interface ServerProcess extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  /** Its exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  /** Its log lines so far. */
  readonly logs: readonly string[];
}

const entry = fileURLToPath(new URL('server-process.ts', import.meta.url));

export async function spawnServer(
  env: Readonly<Record<string, string>>,
  { env: further = {}, killAt, stopAt }: SpawnOptions = {},
): Promise<ServerProcess> {
  const probes = { ...(killAt && { SIGKILL: killAt }), ...(stopAt && { SIGSTOP: stopAt }) };
  const child = spawn(
    process.execPath,
    ['--conditions=@chat-service/source', '--disable-warning=ExperimentalWarning', entry, JSON.stringify(probes)],
    { env: { PATH: process.env['PATH'], ...env, ...further }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const logs: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => logs.push(line));
  const exited = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? code ?? -1));
  });
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    void exited.then((code) => reject(new Error(`the server ended (${code}) before it listened:\n${logs.join('\n')}`)));
  });
  const { pid } = child;
  if (pid === undefined) throw new Error('the server has no process');
  return {
    url,
    pid,
    exited,
    logs,
    kill: (signal) => void child.kill(signal),
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await exited;
    },
  };
}
