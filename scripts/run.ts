import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';

/** The workspace's folder. */
export const root = join(import.meta.dirname, '..');

export interface Command {
  /** A tool of node_modules/.bin, then its arguments. */
  readonly argv: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
}

/** The workspace's tools come first, so that Node 24 and not the machine's own runs them; none of them calls home. */
const environment = {
  ...process.env,
  PATH: [join(root, 'node_modules/.bin'), process.env['PATH']].join(delimiter),
  TURBO_TELEMETRY_DISABLED: '1',
  DO_NOT_TRACK: '1',
};

/** Runs a tool at the workspace's root, with this process's terminal and signals; its exit code. */
export function run({ argv: [tool, ...rest], env }: Command): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(tool, rest, { cwd: root, stdio: 'inherit', env: { ...environment, ...env } });
    const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
    const signals = ['SIGINT', 'SIGTERM'] as const;
    for (const signal of signals) process.on(signal, forward);
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      for (const one of signals) process.off(one, forward);
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}
