import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { creditsOf, microOf } from '../../../src/clients/accounting/http/wire-credits.ts';
import { seed } from '../../../../shared/test/support/seed.ts';

describe('credits on the wire', () => {
  it.each([
    [0, 0],
    [1.1, 1_100_000],
    [4.35, 4_350_000],
    [0.000001, 1],
    [0.0000019, 1],
    [0.0000009, 0],
    [1e-7, 0],
    [2.9999999, 2_999_999],
    [123_456_789.123456, 123_456_789_123_456],
    [1e300, Number.MAX_SAFE_INTEGER],
    [-1.1, -1_100_000],
    [-0.0000011, -2],
  ])('%d are %d millionths', (credits, micro) => {
    expect(microOf(credits)).toBe(micro);
  });

  it('come back as they were sent, with at most 6 places', () => {
    // What decimal numbers can tell apart: up to a billion credits.
    fc.assert(
      fc.property(fc.integer({ min: -1e15, max: 1e15 }), (micro) => {
        const sent = JSON.stringify(creditsOf(micro));
        expect(sent).toMatch(/^-?\d+(?:\.\d{1,6})?$/u);
        expect(microOf(JSON.parse(sent) as number)).toBe(micro);
      }),
      { seed },
    );
  });
});
