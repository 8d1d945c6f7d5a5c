import { z } from 'zod';
import { modelSchema } from './objects.ts';

export const listModelsOutput = z.object({
  models: z.array(modelSchema),
  /** Id of the model that a session gets when none is named. */
  default: z.string(),
});
export type ListModelsOutput = z.infer<typeof listModelsOutput>;
