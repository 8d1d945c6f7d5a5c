import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { plantedFiles } from './planted.ts';

interface Report {
  readonly diagnostics: readonly { readonly code?: string; readonly filename: string }[];
}

const root = join(import.meta.dirname, '../..');
const packages = [
  'packages/shared',
  'packages/server',
  'packages/client-sdk',
  'examples/terminal',
  'examples/terminal-chat',
];
const found = new Map<string, string[]>();
let tree = '';

/** The planted files in a workspace of their own that has our configuration, byte for byte. */
async function plant(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'planted-'));
  for (const name of ['.oxlintrc.json', 'tsconfig.base.json', 'package.json'])
    await cp(join(root, name), join(folder, name));
  for (const name of ['scripts', 'node_modules']) await symlink(join(root, name), join(folder, name));
  for (const name of packages) {
    await mkdir(join(folder, name), { recursive: true });
    for (const file of ['tsconfig.json', 'package.json']) await cp(join(root, name, file), join(folder, name, file));
    await symlink(join(root, name, 'node_modules'), join(folder, name, 'node_modules'));
  }
  for (const { path, source } of plantedFiles) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), source);
  }
  return folder;
}

function lint(folder: string): Promise<Report> {
  return new Promise((resolve, reject) => {
    const command = join(root, 'node_modules/.bin/oxlint');
    execFile(
      command,
      ['-f', 'json', 'packages', 'examples'],
      { cwd: folder, maxBuffer: 2 ** 26 },
      (error, stdout, stderr) => {
        if (stdout.startsWith('{')) resolve(JSON.parse(stdout) as Report);
        else reject(new Error(`oxlint gave no report: ${stderr}${stdout}`, { cause: error }));
      },
    );
  });
}

beforeAll(async () => {
  tree = await plant();
  for (const { code, filename } of (await lint(tree)).diagnostics) {
    found.set(filename, [...(found.get(filename) ?? []), code ?? 'syntax']);
  }
});

afterAll(async () => {
  await rm(tree, { recursive: true, force: true });
});

describe('the lint configuration', () => {
  for (const { path, rule } of plantedFiles) {
    it(`says ${rule ?? 'nothing'} of ${path}`, () => {
      expect([...new Set(found.get(path))]).toEqual(rule === null ? [] : [rule]);
    });
  }
});
