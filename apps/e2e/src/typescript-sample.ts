import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** An application's folder with the client installed, outside the workspace. */
export interface SampleFolder extends Disposable {
  readonly path: string;
  write(name: string, source: string): void;
  /** What the compiler has to say about the files, empty when nothing. */
  compile(...names: readonly string[]): Promise<string>;
}

/** @param root the workspace, which has been installed */
export function createSampleFolder(root: string): SampleFolder {
  const path = mkdtempSync(join(tmpdir(), 'chat-service-sample-'));
  const modules = join(path, 'node_modules');
  for (const scope of ['@chat-service', '@types']) mkdirSync(join(modules, scope), { recursive: true });
  symlinkSync(join(root, 'packages/client-sdk'), join(modules, '@chat-service/client-sdk'));
  symlinkSync(join(root, 'node_modules/@types/node'), join(modules, '@types/node'));
  writeFileSync(join(path, 'package.json'), '{ "type": "module" }');
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2024',
    lib: ['es2024', 'esnext.disposable', 'dom'],
    types: ['node'],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    // The client is taken from its sources.
    customConditions: ['@chat-service/source'],
    allowImportingTsExtensions: true,
  };
  return {
    path,
    write: (name, source) => writeFileSync(join(path, name), source),
    compile(...names) {
      writeFileSync(join(path, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: names }));
      return new Promise((resolve, reject) => {
        execFile(
          join(root, 'node_modules/.bin/tsc'),
          ['-p', path, '--pretty', 'false'],
          { cwd: path },
          (error, stdout) => {
            if (error !== null && stdout === '') reject(new Error('the compiler did not run', { cause: error }));
            else resolve(stdout);
          },
        );
      });
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}
