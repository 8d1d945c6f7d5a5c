import { builtInPlans, type Plans } from '../clients/accounting/embedded/plans.ts';
import { readPlansFile } from '../clients/accounting/embedded/plans-file.ts';
import type { Env } from './env.ts';
import type { ReadTextFile } from './models-config.ts';

export type PlansResult =
  | { readonly ok: true; readonly plans: Plans }
  | { readonly ok: false; readonly problems: readonly string[] };

/** The plans of `PLANS_FILE`, or the built-in ones where it is not set. */
export function loadPlans({ PLANS_FILE: path }: Env, readTextFile: ReadTextFile): PlansResult {
  if (path === undefined) return { ok: true, plans: builtInPlans };
  let text: string;
  try {
    text = readTextFile(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    return { ok: false, problems: [`PLANS_FILE: the file cannot be read (${code})`] };
  }
  const read = readPlansFile(text);
  return read.ok ? read : { ok: false, problems: read.problems.map((problem) => `PLANS_FILE: ${problem}`) };
}
