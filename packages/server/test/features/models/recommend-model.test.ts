import { describe, expect, it } from 'vitest';
import type { RecommendModelInput } from '@chat-service/shared/model-api';
import type { Model } from '@chat-service/shared/objects';
import { createRecommendModel } from '../../../src/features/models/recommend-model.ts';
import { ServiceError } from '../../../src/platform/service-error.ts';
import { toyModel } from './toy-models.ts';

const plain = toyModel('plain');
const coder = toyModel('coder', { capabilities: ['general', 'code', 'tools'], ratings: { speed: 2, quality: 4 } });
const large = toyModel('large', { contextWindow: 200_000, creditCost: { input: 5, output: 5 } });
const away = toyModel('away', {
  capabilities: ['general', 'vision'],
  available: false,
  unavailableReason: 'Its key is missing.',
  ratings: { speed: 5, quality: 5 },
});

function recommender(
  models: readonly Model[] = [plain, coder, large, away],
  workload = { inputTokens: 2000, outputTokens: 100 },
) {
  const asked: string[][] = [];
  const recommendModel = createRecommendModel({
    listModels: () => ({ models: [...models], default: 'plain' }),
    estimateConversation(userId, sessionId) {
      asked.push([userId, sessionId]);
      return sessionId === 'mine' ? Promise.resolve(workload) : Promise.reject(new ServiceError('NOT_FOUND'));
    },
  });
  const ask = async (input: RecommendModelInput = {}) => {
    const { recommended, alternatives, ...rest } = await recommendModel({ userId: 'ada', ...input });
    return { id: recommended.id, others: alternatives.map(({ model }) => model.id), alternatives, ...rest };
  };
  return { ask, asked };
}

describe('a recommendation', () => {
  it('is of the models that are available, best first', async () => {
    const { ask, asked } = recommender();
    const { id, others, estimatedCredits } = await ask();
    expect([id, others, estimatedCredits]).toEqual(['coder', ['plain', 'large'], null]);
    expect(asked).toEqual([]);
  });

  it.each([
    [{ task: 'code' }, ['coder']],
    [{ requirements: { capabilities: ['tools'] } }, ['coder']],
    [{ requirements: { capabilities: ['tools', 'code'] }, task: 'general' }, ['coder']],
    [{ requirements: { minContextWindow: 10_000 } }, ['coder', 'plain', 'large']],
    [{ requirements: { minContextWindow: 10_001 } }, ['large']],
    [{ requirements: {} }, ['coder', 'plain', 'large']],
    [{ priority: 'cost' }, ['coder', 'plain', 'large']],
    [{ priority: 'speed' }, ['plain', 'coder', 'large']],
  ] satisfies [RecommendModelInput, string[]][])('considers what fits: %j', async (input, expected) => {
    const { id, others } = await recommender().ask(input);
    expect([id, ...others]).toEqual(expected);
  });

  it('says why, in words, the same every time', async () => {
    const { ask } = recommender();
    const first = await ask({ priority: 'quality' });
    expect(first.reason).toMatch(
      /^Best of 3 for general, quality first: speed 2 of 5, quality 4 of 5, about 1\.5 credits an answer\.$/u,
    );
    for (const { reason } of first.alternatives) expect(reason).toMatch(/^Speed \d of 5, .*\.$/u);
    expect(await ask({ priority: 'quality' })).toEqual(first);
    expect((await ask({ task: 'code' })).reason).toMatch(/^The only available model that fits/u);
  });

  it('tells what the next answer of a conversation costs, and leaves out what is too small for it', async () => {
    const { ask, asked } = recommender();
    const { id, estimatedCredits } = await ask({ sessionId: 'mine' });
    expect([id, estimatedCredits]).toEqual(['coder', 2.1]);
    expect(asked).toEqual([['ada', 'mine']]);
    const long = recommender(undefined, { inputTokens: 10_000, outputTokens: 1 });
    expect(await long.ask({ sessionId: 'mine' })).toMatchObject({ id: 'large', others: [], estimatedCredits: 50.005 });
    const endless = recommender(undefined, { inputTokens: 200_000, outputTokens: 1 });
    await expect(endless.ask({ sessionId: 'mine' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('is 404 where nothing configured fits, and for a session that is not there', async () => {
    const { ask } = recommender();
    await expect(ask({ task: 'creative' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(ask({ requirements: { minContextWindow: 1e9 } })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(ask({ sessionId: 'theirs' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(recommender([]).ask()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('is 503 where what fits is away', async () => {
    const { ask } = recommender();
    await expect(ask({ task: 'vision' })).rejects.toMatchObject({ code: 'MODEL_UNAVAILABLE', retryAfter: 30 });
    await expect(recommender([away]).ask()).rejects.toMatchObject({ code: 'MODEL_UNAVAILABLE' });
  });
});
