import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export type FeatureGraph = ReadonlyMap<string, ReadonlySet<string>>;

/** Which feature imports from which, read from every file under `features`, a folder of feature folders. */
export async function readFeatureGraph(features: string): Promise<FeatureGraph> {
  const graph = new Map<string, Set<string>>();
  for (const file of (await readdir(features, { recursive: true })).toSorted()) {
    const [feature, ...inside] = file.split(/[\\/]/);
    if (feature === undefined || inside.length === 0 || !file.endsWith('.ts')) continue;
    const known = graph.get(feature) ?? new Set();
    graph.set(feature, known);
    const source = await readFile(join(features, file), 'utf8');
    const up = '../'.repeat(inside.length);
    for (const [, specifier = ''] of source.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)) {
      const other = specifier.startsWith(up) ? specifier.slice(up.length).split('/')[0] : undefined;
      if (other !== undefined && other !== '..' && other !== feature) known.add(other);
    }
  }
  return graph;
}

/** The features of one circle, in order and with the first one said again at its end; empty when there is none. */
export function findCircle(graph: FeatureGraph): string[] {
  const done = new Set<string>();
  const walk = (feature: string, path: readonly string[]): string[] => {
    const start = path.indexOf(feature);
    if (start >= 0) return [...path.slice(start), feature];
    if (done.has(feature)) return [];
    for (const other of graph.get(feature) ?? []) {
      const circle = walk(other, [...path, feature]);
      if (circle.length > 0) return circle;
    }
    done.add(feature);
    return [];
  };
  for (const feature of graph.keys()) {
    const circle = walk(feature, []);
    if (circle.length > 0) return circle;
  }
  return [];
}
