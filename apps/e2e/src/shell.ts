import { spawn } from 'node:child_process';

export interface ShellOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What is typed, and then the end of input. @default nothing is typed and the input stays open */
  readonly input?: string;
}

export interface ShellResult {
  /** Exit code, null after a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command as a person runs it in a terminal, with everything that it starts. Disposing kills what is left of it. */
export interface RunningShell extends AsyncDisposable {
  /** Resolves with standard output once `words` are in it; rejects when the command ends without. */
  says(words: string): Promise<string>;
  /** The same of standard error. */
  notes(words: string): Promise<string>;
  /** Ctrl-C: reaches every process of the command. */
  interrupt(): void;
  readonly result: Promise<ShellResult>;
}

export function startShell(command: string, { cwd, env, input }: ShellOptions): RunningShell {
  // A group of its own, so that all of it and nothing else can be signalled.
  const child = spawn('sh', ['-c', command], { cwd, env: { ...env }, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => void (texts[name] += text));
  }
  // A command that does not read its input closes it.
  child.stdin.on('error', () => undefined);
  if (input !== undefined) child.stdin.end(input);
  const result = new Promise<ShellResult>((resolve, reject) => {
    child.once('error', reject).once('close', (code) => resolve({ code, ...texts }));
  });
  const signal = (name: NodeJS.Signals) => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, name);
    } catch {
      // Nothing of the group is left.
    }
  };
  const until = (name: 'stdout' | 'stderr', words: string) =>
    new Promise<string>((resolve, reject) => {
      const look = () => {
        if (!texts[name].includes(words)) return;
        child[name].off('data', look);
        resolve(texts[name]);
      };
      child[name].on('data', look);
      look();
      result.then(
        ({ code, stderr }) => reject(new Error(`ended with ${code} without saying "${words}":\n${stderr}`)),
        reject,
      );
    });
  return {
    result,
    says: (words) => until('stdout', words),
    notes: (words) => until('stderr', words),
    interrupt: () => signal('SIGINT'),
    async [Symbol.asyncDispose]() {
      signal('SIGKILL');
      await result.catch(() => undefined);
    },
  };
}
