import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { costOf, creditsFor, toCredits, toMicro } from '../../../src/features/credits/credit-amount.ts';
import { seed } from '../../../../shared/test/support/seed.ts';

describe('credits', () => {
  it('are the price per 1,000 tokens of input and of output', () => {
    expect(creditsFor({ inputTokens: 1000, outputTokens: 0 }, { input: 3, output: 15 })).toBe(3);
    expect(creditsFor({ inputTokens: 2000, outputTokens: 500 }, { input: 3, output: 15 })).toBe(13.5);
  });

  it('are nothing for no tokens, and nothing where nothing is charged', () => {
    expect(creditsFor({ inputTokens: 0, outputTokens: 0 }, { input: 3, output: 15 })).toBe(0);
    expect(creditsFor({ inputTokens: 5, outputTokens: 7 }, { input: 0, output: 0 })).toBe(0);
  });

  it('are not what floating point makes of them', () => {
    expect(creditsFor({ inputTokens: 1000, outputTokens: 1000 }, { input: 0.1, output: 0.2 })).toBe(0.3);
    expect(creditsFor({ inputTokens: 3000, outputTokens: 0 }, { input: 0.1, output: 0 })).toBe(0.3);
    expect(creditsFor({ inputTokens: 1000, outputTokens: 0 }, { input: 1.005, output: 0 })).toBe(1.005);
  });

  it('are rounded up to a millionth, once for both sides together', () => {
    expect(creditsFor({ inputTokens: 1, outputTokens: 0 }, { input: 0.000001, output: 0 })).toBe(0.000001);
    expect(creditsFor({ inputTokens: 1, outputTokens: 1 }, { input: 0.0004, output: 0.0004 })).toBe(0.000001);
    expect(creditsFor({ inputTokens: 1, outputTokens: 1 }, { input: 0.0005, output: 0.0006 })).toBe(0.000002);
  });

  it('have an end that can still be counted exactly, whatever a model costs', () => {
    const price = { input: 1_000_000, output: 1_000_000 };
    const cost = costOf({ inputTokens: 100_000_000, outputTokens: 100_000_000 }, price);
    expect(cost).toBe(9_000_000_000_000_000);
    expect(toMicro(toCredits(cost))).toBe(cost);
  });

  it('have at most six decimal places and are never less than the tokens cost', () => {
    const tokens = fc.integer({ min: 0, max: 2_000_000 });
    const price = fc.integer({ min: 0, max: 100_000_000 });
    fc.assert(
      fc.property(tokens, tokens, price, price, (inputTokens, outputTokens, input, output) => {
        const credits = creditsFor({ inputTokens, outputTokens }, { input: input / 1e6, output: output / 1e6 });
        const charged = BigInt(Math.round(credits * 1e6));
        const exact = BigInt(inputTokens) * BigInt(input) + BigInt(outputTokens) * BigInt(output);
        expect(credits).toBe(Number(charged) / 1e6);
        expect(charged * 1000n - exact).toBeGreaterThanOrEqual(0n);
        expect(charged * 1000n - exact).toBeLessThan(1000n);
      }),
      { seed },
    );
  });
});
