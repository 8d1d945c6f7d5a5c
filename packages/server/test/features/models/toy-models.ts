import type { Model } from '@chat-service/shared/objects';

export function toyModel(id: string, more: Partial<Model> = {}): Model {
  return {
    id,
    name: id,
    provider: 'toy',
    description: 'A toy.',
    capabilities: ['general'],
    creditCost: { input: 1, output: 1 },
    maxTokens: 1000,
    contextWindow: 10_000,
    ratings: { speed: 3, quality: 3 },
    available: true,
    unavailableReason: null,
    ...more,
  };
}
