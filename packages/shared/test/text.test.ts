import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundedText, codePointLength, isStorableText } from '../src/text.ts';
import { seed } from './support/seed.ts';

describe('text', () => {
  it('is counted in code points, whatever its units', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(codePointLength(text)).toBe(Array.from(text).length);
      }),
      { seed },
    );
    expect(codePointLength('👩‍🚀')).toBe(3);
  });

  it('is storable without U+0000 and lone surrogates', () => {
    expect(isStorableText('a\u0001\uFFFD😀')).toBe(true);
    expect(isStorableText('a\u0000')).toBe(false);
    expect(isStorableText('\uD800')).toBe(false);
    expect(isStorableText('\uDC00\uD800')).toBe(false);
  });

  it('is taken from its shortest to its longest form and not beyond', () => {
    const schema = boundedText(2, 4);
    expect(schema.safeParse('😀😀😀😀').success).toBe(true);
    expect(schema.safeParse('😀😀😀😀😀').error?.issues[0]?.message).toBe('must be at most 4 characters');
    expect(schema.safeParse('😀').error?.issues[0]?.message).toBe('must be at least 2 characters');
    expect(boundedText(1, 4).safeParse('').error?.issues[0]?.message).toBe('must not be empty');
    expect(schema.safeParse('a\u0000b').success).toBe(false);
    expect(schema.parse(' \r\n ')).toBe(' \r\n ');
  });
});
