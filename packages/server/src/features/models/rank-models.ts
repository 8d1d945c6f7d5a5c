import type { RecommendModelInput } from '@chat-service/shared/model-api';
import type { Model } from '@chat-service/shared/objects';

/** Tokens of one answer. */
export interface Workload {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

export interface RankedModel {
  readonly model: Model;
  /** What an answer costs, in credits with at most 6 decimal places. */
  readonly credits: number;
}

type Priority = NonNullable<RecommendModelInput['priority']>;

/** What an answer takes where no conversation is named. */
const usualWorkload: Workload = { inputTokens: 1000, outputTokens: 500 };

/** How much of the score each aspect makes. */
const weights: Record<Priority, { speed: number; quality: number; cost: number }> = {
  balanced: { speed: 1, quality: 1, cost: 1 },
  speed: { speed: 4, quality: 1, cost: 1 },
  quality: { speed: 1, quality: 4, cost: 1 },
  cost: { speed: 1, quality: 1, cost: 4 },
};

/**
 * Orders models by the weighted mean of their ratings (1 to 5) and a rating of their cost: 5 for the cheapest, in
 * proportion less for dearer ones. Equal scores go to the cheaper model, then to the smaller id, so that the same
 * catalogue gives the same answer every time.
 */
export function rankModels(models: readonly Model[], priority: Priority, workload: Workload | null): RankedModel[] {
  const priced = models.map((model) => ({ model, credits: creditsOf(model, workload ?? usualWorkload) }));
  const cheapest = Math.min(...priced.map(({ credits }) => credits));
  const { speed, quality, cost } = weights[priority];
  const scoreOf = ({ model, credits }: RankedModel) => {
    const costRating = credits === 0 ? 5 : (5 * cheapest) / credits;
    return speed * model.ratings.speed + quality * model.ratings.quality + cost * costRating;
  };
  return priced.toSorted((a, b) => {
    return scoreOf(b) - scoreOf(a) || a.credits - b.credits || (a.model.id < b.model.id ? -1 : 1);
  });
}

function creditsOf({ creditCost }: Model, { inputTokens, outputTokens }: Workload): number {
  const credits = (inputTokens * creditCost.input + outputTokens * creditCost.output) / 1000;
  return Math.round(credits * 1e6) / 1e6;
}
