import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { automaticTitle } from '../../../src/features/generations/automatic-title.ts';
import { seed } from '../../../../shared/test/support/seed.ts';

const codePoints = (text: string) => Array.from(text).length;

describe('the automatic title', () => {
  it('is a short message as it is', () => {
    expect(automaticTitle('How do I boil an egg?')).toBe('How do I boil an egg?');
  });

  it('has its gaps folded into one space each', () => {
    expect(automaticTitle('  first line\n\n\tsecond   line ')).toBe('first line second line');
  });

  it('is null for a blank message', () => {
    expect(automaticTitle('')).toBeNull();
    expect(automaticTitle(' \n\t ')).toBeNull();
  });

  it('takes words up to sixty code points and not one more', () => {
    const sixty = `${'a'.repeat(29)} ${'b'.repeat(30)}`;
    expect(automaticTitle(sixty)).toBe(sixty);
    expect(automaticTitle(`${sixty} c`)).toBe(sixty);
    expect(automaticTitle(`${sixty}c`)).toBe('a'.repeat(29));
  });

  it('cuts a first word that is too long', () => {
    expect(automaticTitle(`${'a'.repeat(61)} b`)).toBe('a'.repeat(60));
  });

  it('counts an emoji as one and never tears it', () => {
    expect(automaticTitle('😀'.repeat(61))).toBe('😀'.repeat(60));
    expect(automaticTitle(`${'x'.repeat(59)}😀😀`)).toBe(`${'x'.repeat(59)}😀`);
  });

  it('cuts a text without gaps after sixty characters', () => {
    expect(automaticTitle('漢'.repeat(32_000))).toBe('漢'.repeat(60));
  });

  it('finds the first words behind a long gap', () => {
    expect(automaticTitle(`${' '.repeat(5000)}late words`)).toBe('late words');
  });

  it('is what the message begins with, for any message', () => {
    const messages = fc.string({ unit: fc.constantFrom('a', 'Z', '漢', '😀', ' ', '\n', '\t'), maxLength: 300 });
    fc.assert(
      fc.property(messages, (message) => {
        const folded = message.trim().replaceAll(/\s+/gu, ' ');
        const title = automaticTitle(message);
        if (folded === '') return void expect(title).toBeNull();
        expect(folded.startsWith(title ?? '?')).toBe(true);
        expect(codePoints(title ?? '')).toBeLessThanOrEqual(60);
        // As much as fits: the next word would be too much.
        const rest = folded.slice(title?.length);
        const next = rest.trimStart().split(' ', 1)[0] ?? '';
        if (rest.startsWith(' ')) expect(codePoints(`${title} ${next}`)).toBeGreaterThan(60);
        else if (rest !== '') expect(codePoints(title ?? '')).toBe(60);
      }),
      { seed },
    );
  });
});
