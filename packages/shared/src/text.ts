import { z } from 'zod';

/** Number of Unicode code points, the unit in which every text limit of the service is given. */
export function codePointLength(text: string): number {
  let length = 0;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    const next = text.charCodeAt(index + 1);
    if (unit >= 0xd800 && unit <= 0xdbff && next >= 0xdc00 && next <= 0xdfff) index += 1;
    length += 1;
  }
  return length;
}

/** True for text that both databases and every wire format carry unchanged: no U+0000, no lone surrogate. */
export function isStorableText(text: string): boolean {
  return !text.includes('\u0000') && text.isWellFormed();
}

/** A string of `min` to `max` code points without U+0000 and lone surrogates; nothing else is changed or refused. */
export function boundedText(min: number, max: number) {
  return z
    .string()
    .check((context) => {
      const text = context.value;
      const refuse = (message: string) => context.issues.push({ code: 'custom', message, input: text });
      if (!isStorableText(text)) return void refuse('must not contain U+0000 or lone surrogates');
      // A code point is at most two units, so most texts are judged without counting.
      if (text.length > max * 2 || (text.length > max && codePointLength(text) > max)) {
        return void refuse(`must be at most ${max} characters`);
      }
      if (text.length < min || (min > 1 && codePointLength(text) < min)) {
        return void refuse(min === 1 ? 'must not be empty' : `must be at least ${min} characters`);
      }
    })
    .meta({ minLength: min, maxLength: max });
}
