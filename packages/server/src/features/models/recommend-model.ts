import type { RecommendModelInput, RecommendModelOutput } from '@chat-service/shared/model-api';
import type { Model } from '@chat-service/shared/objects';
import { ServiceError } from '../../platform/service-error.ts';
import { rankModels, type RankedModel, type Workload } from './rank-models.ts';
import type { ListModels } from './list-models.ts';

/** What the next answer of a conversation takes. @throws ServiceError `NOT_FOUND` for a session that is not the user's */
export type EstimateConversation = (userId: string, sessionId: string) => Promise<Workload>;

export interface RecommendModelDependencies {
  readonly listModels: ListModels;
  readonly estimateConversation: EstimateConversation;
}

/**
 * Recommends an available model for a task, and the others that fit in order.
 * @throws ServiceError `NOT_FOUND` when no configured model fits; `MODEL_UNAVAILABLE` when one fits but none is available
 */
export type RecommendModel = (request: RecommendModelInput & { userId: string }) => Promise<RecommendModelOutput>;

export function createRecommendModel(deps: RecommendModelDependencies): RecommendModel {
  const { listModels, estimateConversation } = deps;

  return async function recommendModel({
    userId,
    task = 'general',
    priority = 'balanced',
    requirements = {},
    sessionId,
  }) {
    const workload = sessionId === undefined ? null : await estimateConversation(userId, sessionId);
    const fitting = listModels().models.filter((model) => fits(model, task, requirements, workload));
    if (fitting.length === 0) throw new ServiceError('NOT_FOUND', { detail: 'No configured model fits.' });
    const [best, ...others] = rankModels(
      fitting.filter(({ available }) => available),
      priority,
      workload,
    );
    if (best === undefined) {
      throw new ServiceError('MODEL_UNAVAILABLE', { detail: 'No model that fits is available now.', retryAfter: 30 });
    }
    const lead = others.length === 0 ? 'The only available model that fits' : `Best of ${others.length + 1}`;
    return {
      recommended: best.model,
      reason: `${lead} for ${task}, ${emphasis[priority]}: ${describe(best)}.`,
      estimatedCredits: workload === null ? null : best.credits,
      alternatives: others.map((ranked) => ({ model: ranked.model, reason: `${capitalised(describe(ranked))}.` })),
    };
  };
}

const emphasis = {
  balanced: 'weighing speed, quality and cost alike',
  speed: 'speed first',
  quality: 'quality first',
  cost: 'cost first',
} as const;

function fits(
  { capabilities, contextWindow }: Model,
  task: NonNullable<RecommendModelInput['task']>,
  { minContextWindow = 0, capabilities: asked = [] }: NonNullable<RecommendModelInput['requirements']>,
  workload: Workload | null,
): boolean {
  if (contextWindow < minContextWindow || (workload !== null && contextWindow <= workload.inputTokens)) return false;
  return [task, ...asked].every((capability) => capabilities.includes(capability));
}

function describe({ model, credits }: RankedModel): string {
  const { speed, quality } = model.ratings;
  return `speed ${speed} of 5, quality ${quality} of 5, about ${credits} credits an answer`;
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
