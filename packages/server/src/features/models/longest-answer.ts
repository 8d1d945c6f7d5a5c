import type { ModelCatalogue } from './catalogue.ts';

/** Milliseconds that no answer takes longer than, whichever model is asked for: it and its fallbacks may all be tried. */
export function longestAnswerMs(catalogue: ModelCatalogue): number {
  const totalOf = (modelId: string) =>
    catalogue.chain(modelId).reduce((sum, { target }) => sum + target.timeouts.total, 0);
  return Math.max(...catalogue.list().map(({ id }) => totalOf(id)));
}
