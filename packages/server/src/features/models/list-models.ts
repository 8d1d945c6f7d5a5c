import type { ListModelsOutput } from '@chat-service/shared/model-api';
import type { Models } from './models.ts';

export type ListModels = () => ListModelsOutput;

/** All configured models, those that cannot be called at present with the reason. */
export function createListModels({ catalogue, availability }: Pick<Models, 'catalogue' | 'availability'>): ListModels {
  return () => ({
    models: catalogue.list().map(({ fallback: _fallback, target: _target, ...shown }) => {
      const unavailableReason = availability(shown.id);
      return { ...shown, available: unavailableReason === null, unavailableReason };
    }),
    default: catalogue.default,
  });
}
