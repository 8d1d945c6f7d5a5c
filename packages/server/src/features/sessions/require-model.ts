import { ServiceError } from '../../platform/service-error.ts';

/** @throws ServiceError `BAD_REQUEST` for a model id that is given and not in the catalogue */
export type RequireModel = (modelId: string | null | undefined) => void;

export function createRequireModel(isKnown: (modelId: string) => boolean): RequireModel {
  return function requireModel(modelId) {
    if (modelId == null || isKnown(modelId)) return;
    const errors = [{ path: 'modelId', message: 'unknown model' }];
    throw new ServiceError('BAD_REQUEST', { detail: 'There is no such model.', errors });
  };
}
