import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A process whose CPU time is read from within, all threads together. Disposing ends it. */
export interface MeasuredProcess extends AsyncDisposable {
  /** Microseconds of CPU so far. */
  cpu(): Promise<number>;
  /** Sends a message to its program. */
  tell(message: object): void;
  /** The next message of its program that has this property. */
  hear<T>(property: string): Promise<T>;
}

const preload = new URL('report-cpu.ts', import.meta.url);

export interface MeasuredOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Whether what it writes to standard output is thrown away. @default false */
  readonly mute?: boolean;
}

/** Runs a program of ours in a process of its own. What it writes goes to this process' standard error. */
export function startMeasured(
  program: URL,
  { args = [], env = {}, mute = false }: MeasuredOptions = {},
): MeasuredProcess {
  const flags = ['--conditions=@chat-service/source', '--disable-warning=ExperimentalWarning'];
  const child = spawn(process.execPath, [...flags, `--import=${preload.href}`, fileURLToPath(program), ...args], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', mute ? 'ignore' : 2, 2, 'ipc'],
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));

  function hear<T>(property: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const onMessage = (message: unknown) => {
        if (typeof message !== 'object' || message === null || !(property in message)) return;
        child.off('message', onMessage);
        child.off('exit', onExit);
        resolve((message as Record<string, T>)[property] as T);
      };
      const onExit = (code: number | null) => reject(new Error(`${program.pathname} ended with ${code}`));
      child.on('message', onMessage);
      child.once('exit', onExit);
    });
  }

  return {
    cpu() {
      const told = hear<number>('cpu');
      child.send('cpu');
      return told;
    },
    tell: (message) => void child.send(message),
    hear,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
