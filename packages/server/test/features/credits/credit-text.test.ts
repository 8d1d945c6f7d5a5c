import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCredits, parseCredits } from '../../../src/features/credits/credit-text.ts';
import { seed } from '../../../../shared/test/support/seed.ts';

describe('credits as text', () => {
  it.each([
    ['50', 50_000_000n],
    ['0.25', 250_000n],
    ['0.000001', 1n],
    ['007', 7_000_000n],
    ['9007199254.740993', 9_007_199_254_740_993n],
    ['0', 0n],
  ])('%s are %d millionths', (text, micro) => {
    expect(parseCredits(text)).toBe(micro);
  });

  it.each([
    '',
    ' ',
    '1 ',
    '-1',
    '+1',
    '1.',
    '.5',
    '1,5',
    '1e3',
    '0x10',
    '1.0000001',
    '1_000',
    'NaN',
    '1'.repeat(16),
    '１',
  ])('%j are none', (text) => {
    expect(parseCredits(text)).toBeNull();
  });

  it.each([
    [0, '0'],
    [1, '0.000001'],
    [-1_500_000, '-1.5'],
    [50_000_000, '50'],
    [10n ** 20n + 1n, '100000000000000.000001'],
  ])('%d millionths are written as %s', (micro, text) => {
    expect(formatCredits(micro)).toBe(text);
  });

  it('are read as they were written', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 21n - 1n }), (micro) => {
        expect(parseCredits(formatCredits(micro))).toBe(micro);
      }),
      { seed },
    );
  });
});
