import { variableNames, type RawEnv } from './env.ts';

/** Variables that look like ours misspelt: same first word, one or two letters off. A wrong first word cannot be told from another program's. */
export function likelyTypos(raw: RawEnv): Array<{ name: string; meant: string }> {
  const known: ReadonlySet<string> = new Set(variableNames);
  return Object.keys(raw)
    .filter((name) => !known.has(name) && raw[name] !== undefined)
    .flatMap((name) => {
      const meant = variableNames
        .filter((candidate) => sharesPrefix(name, candidate))
        .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
        .filter(({ distance }) => distance <= 2)
        .toSorted((a, b) => a.distance - b.distance)[0];
      return meant === undefined ? [] : [{ name, meant: meant.candidate }];
    });
}

function sharesPrefix(name: string, candidate: string): boolean {
  const prefix = candidate.slice(0, candidate.indexOf('_') + 1);
  return prefix !== '' && name.startsWith(prefix);
}

/** Number of letters to insert, remove, replace or swap with their neighbour. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3;
  const rows = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number) => rows[row]?.[column] ?? Infinity;
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    rows.push(current);
    for (let column = 1; column <= b.length; column += 1) {
      const same = a[row - 1] === b[column - 1];
      const swapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current.push(
        Math.min(
          at(row - 1, column) + 1,
          at(row, column - 1) + 1,
          at(row - 1, column - 1) + (same ? 0 : 1),
          swapped ? at(row - 2, column - 2) + 1 : Infinity,
        ),
      );
    }
  }
  return at(a.length, b.length);
}
