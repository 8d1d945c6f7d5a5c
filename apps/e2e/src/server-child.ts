import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ProbePoint } from '@chat-service/server/features/generations/probe';

/** When a server ends or freezes itself. */
export interface ServerMoments {
  /** The process kills itself with SIGKILL when a generation reaches this point, for the `nth` time (from 1). */
  readonly killAt?: { readonly point: ProbePoint; readonly nth?: number };
  /** The process stops itself with SIGSTOP there instead. */
  readonly stopAt?: { readonly point: ProbePoint; readonly nth?: number };
  /** Moves the hands of its clock forward; timers that run already are not touched. */
  readonly shiftSeconds?: number;
}

export interface SpawnOptions extends ServerMoments {
  readonly env?: Readonly<Record<string, string>>;
  /** Nothing but the grace limits its shutdown, however slow the machine is. @default false */
  readonly isUnhurried?: boolean;
}

/** A server in a process of its own. Disposing kills it. */
export interface ServerProcess extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  /** Replaces the moments it was started with; they are counted from now on. */
  arm(moments: ServerMoments): Promise<void>;
  /** Its exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  /** Its log lines so far. */
  readonly logs: readonly string[];
}

const entry = fileURLToPath(new URL('server-process.ts', import.meta.url));
/** A start costs a third less when what was compiled before is found here. */
export const compileCache = fileURLToPath(new URL('../../../node_modules/.cache/compile', import.meta.url));

export async function spawnServer(
  env: Readonly<Record<string, string>>,
  { env: further = {}, isUnhurried = false, ...moments }: SpawnOptions = {},
): Promise<ServerProcess> {
  const child = spawn(
    process.execPath,
    [
      '--conditions=@chat-service/source',
      '--disable-warning=ExperimentalWarning',
      entry,
      JSON.stringify({ ...signalsOf(moments), isUnhurried }),
    ],
    {
      env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: compileCache, ...env, ...further },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    },
  );
  const { pid, stdout, stderr } = child;
  if (pid === undefined || stdout === null || stderr === null) throw new Error('the server has no process');
  const logs: string[] = [];
  createInterface({ input: stderr }).on('line', (line) => logs.push(line));
  const exited = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('close', (code, signal) => resolve(signal ?? code ?? -1));
  });
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: stdout }).once('line', resolve);
    void exited.then((code) => reject(new Error(`the server ended (${code}) before it listened:\n${logs.join('\n')}`)));
  });
  return {
    url,
    pid,
    exited,
    logs,
    kill: (signal) => void child.kill(signal),
    async arm(next) {
      const armed = once(child, 'message');
      child.send(signalsOf(next));
      await armed;
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await exited;
    },
  };
}

function signalsOf({ killAt, stopAt, shiftSeconds }: ServerMoments) {
  return {
    ...(killAt && { SIGKILL: killAt }),
    ...(stopAt && { SIGSTOP: stopAt }),
    ...(shiftSeconds !== undefined && { shiftSeconds }),
  };
}
