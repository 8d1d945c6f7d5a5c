import { describe, expect, it } from 'vitest';
import { encode } from 'gpt-tokenizer/encoding/o200k_base';
import { loadTokenCounter } from '../../../src/features/generations/count-tokens.ts';

const exact = (text: string) => encode(text, { disallowedSpecial: new Set() }).length;

describe('counting tokens', () => {
  it.each([
    '',
    'Hello, world!',
    'antidisestablishmentarianism and  double  spaces\n\n\nand lines',
    'const f = (x: number) => x ** 2; // code',
    '今天天气很好，我们一起去公园散步吧。',
    '👩‍👩‍👧‍👦 and 😀',
    'text with <|endoftext|> in it',
  ])('is exact for %j', async (text) => {
    const countTokens = await loadTokenCounter();
    expect(countTokens(text)).toBe(exact(text));
  });

  it('is close to the truth for long runs', async () => {
    const countTokens = await loadTokenCounter();
    for (const run of ['abcdefghij'.repeat(50), '漢字仮名'.repeat(100), 'ACGT'.repeat(100)]) {
      expect(Math.abs(countTokens(`before ${run} after`) - exact(`before ${run} after`))).toBeLessThanOrEqual(
        run.length / 16,
      );
    }
  });

  // Merged as one run, each of these takes seconds and blocks every stream of the process.
  it.each([
    ['a', 4_000],
    ['!', 1_000],
    [' ', 1_000],
    ['漢', 32_000],
    ['😀', 32_000],
  ])('works 32,000 times %j out in pieces', async (character, tokens) => {
    const countTokens = await loadTokenCounter();
    const counted = countTokens(character.repeat(32_000));
    expect(counted).toBeGreaterThanOrEqual(tokens / 2);
    expect(counted).toBeLessThanOrEqual(tokens * 2);
  });

  it.each(['a', ' ', '漢'])('counts millions of %j, which no one match can hold', async (character) => {
    const countTokens = await loadTokenCounter();
    const part = 1_048_576;
    expect(countTokens(character.repeat(8 * part))).toBe(8 * countTokens(character.repeat(part)));
  });
});
