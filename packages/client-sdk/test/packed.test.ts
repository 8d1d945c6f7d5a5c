import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const require = createRequire(import.meta.url);
const repository = fileURLToPath(new URL('../../..', import.meta.url));
const bin = (name: string) => join(repository, 'node_modules/.bin', name);
/** The compilers that a consumer may have. */
const compilers = { '5.9': 'typescript-5', '6.0': 'typescript-6', '7.0': 'typescript' };

let folder = '';

async function pack(name: string): Promise<string> {
  const { stdout } = await run(bin('pnpm'), ['pack', '--pack-destination', folder, '--json'], {
    cwd: join(repository, 'packages', name),
  });
  const { filename } = JSON.parse(stdout) as { filename: string };
  return filename;
}

async function compile(compiler: string, ...flags: string[]): Promise<{ code: number; output: string }> {
  const manifest = require.resolve(`${compiler}/package.json`, { paths: [repository, dirname(import.meta.filename)] });
  const tsc = join(dirname(manifest), 'bin/tsc');
  try {
    const { stdout } = await run(process.execPath, [tsc, '-p', folder, '--pretty', 'false', ...flags]);
    return { code: 0, output: stdout };
  } catch (error) {
    const { code, stdout } = error as { code: number; stdout: string };
    return { code, output: stdout };
  }
}

describe('the packed client, installed without the server', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chat-client-packed-'));
    await run(bin('tsc'), ['-b', join(repository, 'packages/client-sdk')]);
    const [shared, client] = [await pack('shared'), await pack('client-sdk')];
    const write = (name: string, content: unknown) =>
      writeFile(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
    await write('package.json', {
      private: true,
      type: 'module',
      // tRPC's types are named in the sample, as in an application that infers from the router.
      dependencies: { '@chat-service/client-sdk': `file:${client}`, '@trpc/server': '^11' },
    });
    await write(
      'pnpm-workspace.yaml',
      `packages: ['.']\noverrides: { '@chat-service/shared': 'file:${shared}' }\nautoInstallPeers: false\npmOnFail: ignore\n`,
    );
    await write('sample.ts', await readFile(new URL('packed-sample/sample.txt', import.meta.url), 'utf8'));
    await write('tsconfig.json', {
      compilerOptions: {
        module: 'nodenext',
        target: 'es2024',
        lib: ['es2024', 'esnext.disposable', 'dom', 'dom.asynciterable'],
        strict: true,
        noEmit: true,
        skipLibCheck: false,
        types: [],
      },
      files: ['sample.ts'],
    });
    await run(bin('pnpm'), ['install', '--prefer-offline', '--ignore-scripts'], { cwd: folder });
  }, 180_000);

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('brings no server package along', async () => {
    const packages = await readdir(join(folder, 'node_modules/.pnpm'));
    expect(packages.filter((name) => name.startsWith('@chat-service')).map((name) => name.split('@')[1])).toEqual([
      'chat-service+client-sdk',
      'chat-service+shared',
    ]);
  });

  it.each(Object.entries(compilers))(
    'compiles under TypeScript %s, wrong calls refused',
    async (version, compiler) => {
      const manifest = require.resolve(`${compiler}/package.json`, {
        paths: [repository, dirname(import.meta.filename)],
      });
      expect((JSON.parse(await readFile(manifest, 'utf8')) as { version: string }).version).toContain(`${version}.`);
      expect(await compile(compiler)).toEqual({ code: 0, output: '' });
    },
    300_000,
  );

  it('runs in plain Node', async () => {
    const script = `
      import { createChatClient, ConnectionError } from '@chat-service/client-sdk';
      await using chat = createChatClient({ url: 'http://127.0.0.1:1', token: 'x', maxRetries: 0 });
      const error = await chat.system.version().catch((reason) => reason);
      console.log(error instanceof ConnectionError, error.code);
    `;
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script], { cwd: folder });
    expect(stdout).toBe('true CONNECTION_FAILED\n');
  });

  it('would not pass if its types needed the server, or had turned into any', async () => {
    const dist = join(folder, 'node_modules/@chat-service/client-sdk/dist');
    await using replaced = new AsyncDisposableStack();
    const replace = async (name: string, content: string) => {
      const before = await readFile(join(dist, name), 'utf8');
      // pnpm links files to its store: replaced, not written into.
      await rm(join(dist, name));
      await writeFile(join(dist, name), content);
      replaced.defer(() => writeFile(join(dist, name), before));
    };
    // A type from a package that is not there is any, and says so only where libraries are checked.
    await replace(
      'app-router.generated.d.ts',
      "export type AppRouter = import('@chat-service/server/app-router').AppRouter;\n",
    );
    expect((await compile('typescript', '--skipLibCheck')).code).not.toBe(0);
    await replace('chat-client.d.ts', 'export declare function createChatClient(options: unknown): any;\n');
    const { code, output } = await compile('typescript', '--skipLibCheck');
    expect(code).not.toBe(0);
    expect(output.match(/Unused '@ts-expect-error' directive/gu)).toHaveLength(10);
  });
});
