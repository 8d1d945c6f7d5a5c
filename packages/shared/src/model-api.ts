import { z } from 'zod';
import { capabilitySchema, idSchema, modelSchema } from './objects.ts';

export const listModelsOutput = z.object({
  models: z.array(modelSchema),
  /** Id of the model that a session gets when none is named. */
  default: z.string(),
});
export type ListModelsOutput = z.infer<typeof listModelsOutput>;

export const recommendModelInput = z.strictObject({
  /** What it is for: only models with this capability are considered. @default "general" */
  task: z.enum(['general', 'code', 'creative', 'analysis', 'vision']).optional(),
  /** What counts most. @default "balanced" */
  priority: z.enum(['balanced', 'speed', 'quality', 'cost']).optional(),
  requirements: z
    .strictObject({
      /** In tokens. */
      minContextWindow: z.int().min(1).optional(),
      /** All of them, beside the task's own. */
      capabilities: z.array(capabilitySchema).max(10).optional(),
    })
    .optional(),
  /** Costs are then estimated for the next answer of this conversation, and its text has to fit the model. */
  sessionId: idSchema.optional(),
});
export type RecommendModelInput = z.infer<typeof recommendModelInput>;
export const recommendModelOutput = z.object({
  recommended: modelSchema,
  /** In words. */
  reason: z.string(),
  /** Credits of the next answer in the session that was named; null without one. */
  estimatedCredits: z.number().nullable(),
  /** The other models that fit, best first. */
  alternatives: z.array(z.object({ model: modelSchema, reason: z.string() })),
});
export type RecommendModelOutput = z.infer<typeof recommendModelOutput>;
