import { z } from 'zod';

export interface VariableDocs {
  /** What it does, in sentences: the text of docs/configuration.md and of .env.example. */
  description: string;
  /** A value that works, for .env.example. */
  example: string;
  section: string;
  /** What holds where there is no fixed default value. */
  otherwise?: string;
}

/** What is known of each variable beside its schema; the generated documents are written from it. */
export const variableDocs = z.registry<VariableDocs>();

/** A whole number within bounds, in plain digits: no sign, exponent, hex, blank or leading zero. */
export function wholeNumber(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^(?:0|[1-9]\d{0,14})$/u, message)
    .transform(Number)
    .refine((value) => value >= min && value <= max, message);
}

/** `true` or `false`, nothing else. */
export function flag() {
  return z.enum(['true', 'false'], 'must be true or false').transform((value) => value === 'true');
}

/** `true` for one proxy, `false` for none, or how many there are: from 1 to 10. */
export function proxyCount() {
  const counts = new Map([
    ['false', 0],
    ['true', 1],
    ...Array.from({ length: 10 }, (_, i) => [String(i + 1), i + 1] as const),
  ]);
  return z.string().transform((text, context) => {
    const count = counts.get(text);
    if (count !== undefined) return count;
    context.addIssue('must be true, false, or a whole number from 1 to 10');
    return z.NEVER;
  });
}

/** One of the words given. */
export function oneOf<const T extends readonly [string, ...string[]]>(words: T) {
  return z.enum(words, `must be one of ${words.join(', ')}`);
}

/** An absolute http or https address. */
export function httpUrl() {
  return z.string().refine((text) => {
    const url = URL.parse(text);
    return url !== null && (url.protocol === 'http:' || url.protocol === 'https:');
  }, 'must be an http or https URL');
}
