import { ServiceError } from '../../platform/service-error.ts';

/** The refusal of a `modelId` that is not in the catalogue. */
export function unknownModel(): ServiceError {
  const errors = [{ path: 'modelId', message: 'unknown model' }];
  return new ServiceError('BAD_REQUEST', { detail: 'There is no such model.', errors });
}
