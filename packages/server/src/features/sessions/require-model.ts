import { unknownModel } from '../models/unknown-model.ts';

/** @throws ServiceError `BAD_REQUEST` for a model id that is given and not in the catalogue */
export type RequireModel = (modelId: string | null | undefined) => void;

export function createRequireModel(isKnown: (modelId: string) => boolean): RequireModel {
  return function requireModel(modelId) {
    if (modelId == null || isKnown(modelId)) return;
    throw unknownModel();
  };
}
