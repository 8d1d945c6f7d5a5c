import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { startShell, type ShellResult } from '../shell.ts';

const application = join(import.meta.dirname, '../..');
const root = join(application, '../..');

/** The folder of somebody who makes a client from the document with tools of their own. */
export interface ClientFolder extends AsyncDisposable {
  write(name: string, text: string): void;
  /** Copies the program `<name>.txt` of this directory as `<name>.ts`. */
  addProgram(name: string): void;
  /** Runs a command there to its end. @throws Error with what it printed when it fails */
  run(command: string): Promise<ShellResult>;
  /** Type-checks a program and what it imports, strictly. @throws Error with what the compiler says */
  compile(name: string): Promise<void>;
}

export function createClientFolder(): ClientFolder {
  const path = mkdtempSync(join(tmpdir(), 'chat-service-foreign-'));
  symlinkSync(join(application, 'node_modules'), join(path, 'node_modules'));
  const write = (name: string, text: string) => writeFileSync(join(path, name), text);
  write('package.json', '{ "type": "module" }');
  const bins = [join(root, 'node_modules/.bin'), join(application, 'node_modules/.bin'), process.env['PATH']];
  const env = { ...process.env, NODE_OPTIONS: undefined, DO_NOT_TRACK: '1', PATH: bins.join(delimiter) };

  async function run(command: string): Promise<ShellResult> {
    await using shell = startShell(command, { cwd: path, env, input: '' });
    const result = await shell.result;
    if (result.code === 0) return result;
    throw new Error(`${command} ended with ${result.code}:\n${result.stdout}\n${result.stderr}`);
  }

  return {
    write,
    addProgram: (name) => write(`${name}.ts`, readFileSync(join(import.meta.dirname, `${name}.txt`), 'utf8')),
    run,
    async compile(name) {
      const compilerOptions = {
        module: 'nodenext',
        target: 'es2024',
        lib: ['es2024', 'dom', 'dom.iterable', 'dom.asynciterable'],
        types: ['node'],
        strict: true,
        noEmit: true,
        skipLibCheck: true,
        allowImportingTsExtensions: true,
      };
      write('tsconfig.json', JSON.stringify({ compilerOptions, files: [`${name}.ts`] }));
      await run('tsc -p . --pretty false');
    },
    async [Symbol.asyncDispose]() {
      rmSync(path, { recursive: true, force: true });
    },
  };
}
