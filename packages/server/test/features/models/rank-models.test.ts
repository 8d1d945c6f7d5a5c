import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rankModels } from '../../../src/features/models/rank-models.ts';
import { seed } from '../../../../shared/test/support/seed.ts';
import { toyModel } from './toy-models.ts';

const fast = toyModel('fast', { ratings: { speed: 5, quality: 2 }, creditCost: { input: 4, output: 4 } });
const good = toyModel('good', { ratings: { speed: 2, quality: 5 }, creditCost: { input: 8, output: 8 } });
const cheap = toyModel('cheap', { ratings: { speed: 2, quality: 2 }, creditCost: { input: 1, output: 1 } });
const idsOf = (ranked: ReturnType<typeof rankModels>) => ranked.map(({ model }) => model.id);

describe('the order of models', () => {
  it.each([
    ['speed', 'fast'],
    ['quality', 'good'],
    ['cost', 'cheap'],
  ] as const)('by %s begins with the %s one', (priority, id) => {
    expect(idsOf(rankModels([fast, good, cheap], priority, null))[0]).toBe(id);
  });

  it('weighs all three alike when balanced', () => {
    // 2 + 2 + 5, 5 + 2 + 1.25, 2 + 5 + 0.625
    expect(idsOf(rankModels([good, fast, cheap], 'balanced', null))).toEqual(['cheap', 'fast', 'good']);
  });

  it('is of the cost of this very conversation', () => {
    const reader = toyModel('reader', { creditCost: { input: 1, output: 20 } });
    const writer = toyModel('writer', { creditCost: { input: 10, output: 1 } });
    const long = { inputTokens: 50_000, outputTokens: 100 };
    const short = { inputTokens: 100, outputTokens: 5_000 };
    expect(idsOf(rankModels([writer, reader], 'cost', long))).toEqual(['reader', 'writer']);
    expect(idsOf(rankModels([writer, reader], 'cost', short))).toEqual(['writer', 'reader']);
    expect(rankModels([reader], 'cost', long)[0]?.credits).toBe(52);
  });

  it('gives equal ones to the cheaper, then to the smaller id', () => {
    const free = { creditCost: { input: 0, output: 0 } };
    const models = ['b', 'c', 'a'].map((id) => toyModel(id, free));
    expect(idsOf(rankModels(models, 'cost', null))).toEqual(['a', 'b', 'c']);
    const dear = toyModel('a', { creditCost: { input: 2, output: 2 }, ratings: { speed: 3, quality: 3 } });
    // Half the cost rating against two and a half more of quality: equal when balanced.
    const equal = toyModel('b', { creditCost: { input: 1, output: 1 }, ratings: { speed: 3, quality: 0.5 } });
    expect(idsOf(rankModels([dear, equal], 'balanced', null))).toEqual(['b', 'a']);
  });

  it('takes free models for the cheapest there are', () => {
    const free = toyModel('z', { creditCost: { input: 0, output: 0 } });
    expect(idsOf(rankModels([cheap, free], 'cost', null))).toEqual(['z', 'cheap']);
    expect(rankModels([], 'cost', null)).toEqual([]);
  });

  it('does not depend on the order they come in, and leaves none out', () => {
    const model = fc.record({
      speed: fc.integer({ min: 1, max: 5 }),
      quality: fc.integer({ min: 1, max: 5 }),
      input: fc.integer({ min: 0, max: 3 }),
      output: fc.integer({ min: 0, max: 3 }),
    });
    fc.assert(
      fc.property(
        fc.array(model, { maxLength: 8 }),
        fc.constantFrom('balanced', 'speed', 'quality', 'cost'),
        fc.infiniteStream(fc.nat()),
        (drawn, priority, random) => {
          const models = drawn.map(({ speed, quality, ...creditCost }, index) =>
            toyModel(`m${index}`, { ratings: { speed, quality }, creditCost }),
          );
          const shuffled = models
            .map((one) => ({ one, key: random.next().value }))
            .toSorted((a, b) => a.key - b.key)
            .map(({ one }) => one);
          const ranked = idsOf(rankModels(models, priority, null));
          expect(idsOf(rankModels(shuffled, priority, null))).toEqual(ranked);
          expect(ranked.toSorted()).toEqual(models.map(({ id }) => id).toSorted());
        },
      ),
      { seed },
    );
  });
});
