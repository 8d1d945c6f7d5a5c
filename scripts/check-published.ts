/**
 * Packs a package as it would be published and lints the tarball: `node scripts/check-published.ts packages/shared`.
 * Every module of a wildcard export is an entry point, and each must have brought its types along.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './run.ts';

interface Manifest {
  readonly exports: Readonly<Record<string, unknown>>;
}

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

function entryPoints(folder: string): string[] {
  const { exports } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
  const modules = readdirSync(join(folder, 'src')).filter((file) => file.endsWith('.ts'));
  return Object.keys(exports).flatMap((entry) =>
    entry.endsWith('/*') ? modules.map((file) => `./${file.slice(0, -'.ts'.length)}`) : [entry],
  );
}

/** Runs a linter of tarballs, and repeats what it said only when it found something. */
function judge([tool, ...args]: readonly [string, ...string[]]): boolean {
  const { status, stdout, stderr } = spawnSync(join(root, 'node_modules/.bin', tool), args, { encoding: 'utf8' });
  if (status !== 0) console.error(`${tool}:\n${stdout}${stderr}`);
  return status === 0;
}

function check(name: string, destination: string): boolean {
  const folder = join(root, name);
  const pnpm = join(root, 'node_modules/.bin/pnpm');
  const output = execFileSync(pnpm, ['pack', '--json', '--pack-destination', destination], {
    cwd: folder,
    encoding: 'utf8',
  });
  const { filename, files } = JSON.parse(output) as Packed;
  const entries = entryPoints(folder);
  const packed = new Set(files.map(({ path }) => path));
  const untyped = entries.filter((entry) => !packed.has(`dist/${entry === '.' ? 'index' : entry.slice(2)}.d.ts`));
  if (untyped.length > 0 || entries.length === 0) {
    console.error(`${name}: no types in the tarball for ${untyped.join(', ') || 'anything'}`);
    return false;
  }
  const tarball = join(destination, filename.split('/').at(-1) ?? filename);
  const publint = judge(['publint', 'run', tarball, '--strict']);
  const attw = judge(['attw', tarball, '--profile', 'esm-only', '--format', 'ascii', '--entrypoints', ...entries]);
  console.log(`${name}: ${entries.length} entry points, ${packed.size} files`);
  return publint && attw;
}

const destination = mkdtempSync(join(tmpdir(), 'packed-'));
try {
  for (const name of process.argv.slice(2)) if (!check(name, destination)) process.exitCode = 1;
} finally {
  rmSync(destination, { recursive: true });
}
