import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { findCircle, readFeatureGraph } from '../lint/feature-graph.ts';

const folders: string[] = [];

async function features(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'features-'));
  folders.push(folder);
  for (const [path, source] of Object.entries(files)) {
    await mkdir(join(folder, path, '..'), { recursive: true });
    await writeFile(join(folder, path), source);
  }
  return folder;
}

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

describe('the features', () => {
  it('form no circle', async () => {
    const graph = await readFeatureGraph(join(import.meta.dirname, '../../packages/server/src/features'));
    expect(graph.size).toBeGreaterThan(0);
    expect(findCircle(graph)).toEqual([]);
  });
});

describe('findCircle', () => {
  it('sees a circle that no single pair of files closes', async () => {
    const folder = await features({
      'alpha/one.ts': "import { two } from '../beta/two.ts';",
      'beta/deep/other.ts': "export type { Three } from '../../gamma/three.ts';",
      'gamma/three.ts': "export const load = () => import('../alpha/four.ts');",
    });
    expect(findCircle(await readFeatureGraph(folder))).toEqual(['alpha', 'beta', 'gamma', 'alpha']);
  });

  it('lets two features use a third', async () => {
    const folder = await features({
      'alpha/one.ts': "import { three } from '../gamma/three.ts';\nimport { two } from '../beta/two.ts';",
      'beta/two.ts': "import { three } from '../gamma/three.ts';\nimport { own } from './own.ts';",
      'gamma/three.ts': "import { database } from '../../db/database.ts';",
    });
    expect(findCircle(await readFeatureGraph(folder))).toEqual([]);
  });
});
