import type { Clock } from './clock.ts';

/** A `Retry-After` header, seconds or a date, in milliseconds from now; undefined where it is neither. */
export function readRetryAfter(header: string | null, clock: Clock): number | undefined {
  if (header === null) return undefined;
  const trimmed = header.trim();
  if (/^\d+(\.\d+)?$/.test(trimmed)) return Number(trimmed) * 1000;
  const date = Date.parse(trimmed);
  return Number.isNaN(date) ? undefined : Math.max(0, date - clock.now());
}
