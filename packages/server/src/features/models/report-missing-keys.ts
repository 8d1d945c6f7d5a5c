import type { Logger } from '../../platform/logger.ts';
import type { Models } from './models.ts';

/**
 * Tells the operator, a line a variable, which keys are not set and which models are therefore not available: users are
 * told no more than that. A warning where even the default model finds nobody to answer.
 */
export function reportMissingKeys({ catalogue, provider, unavailableReason }: Models, logger: Logger): void {
  const missing = new Map<string, string[]>();
  for (const model of catalogue.list()) {
    const variable = provider(model)?.missingVariable(model.target) ?? null;
    if (variable !== null) missing.set(variable, [...(missing.get(variable) ?? []), model.id]);
  }
  const level = unavailableReason(catalogue.default) === null ? 'info' : 'warn';
  for (const [variable, models] of missing) {
    logger[level]({ variable, models }, 'Models are not available: the variable with their key is not set.');
  }
}
