import { builtInPlans, type Plans } from '../clients/accounting/embedded/plans.ts';
import { readPlansFile } from '../clients/accounting/embedded/plans-file.ts';
import type { Env } from './env.ts';
import { readNamedFile, type ReadTextFile } from './read-named-file.ts';

export type PlansResult =
  | { readonly ok: true; readonly plans: Plans }
  | { readonly ok: false; readonly problems: readonly string[] };

/** The plans of `PLANS_FILE`, or the built-in ones where it is not set. */
export function loadPlans({ PLANS_FILE: path }: Env, readTextFile: ReadTextFile): PlansResult {
  if (path === undefined) return { ok: true, plans: builtInPlans };
  const file = readNamedFile('PLANS_FILE', path, readTextFile);
  if (!file.ok) return file;
  const read = readPlansFile(file.text);
  return read.ok ? read : { ok: false, problems: read.problems.map((problem) => `PLANS_FILE: ${problem}`) };
}
