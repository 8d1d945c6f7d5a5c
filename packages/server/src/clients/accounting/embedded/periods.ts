import type { Hold } from '../accounting.ts';
import type { PeriodName } from './plans.ts';

/** The day and the month, in UTC, that quotas and grants are counted in: `2026-11-22` and `2026-11`. */
export type Periods = NonNullable<Hold['periods']>;

export function periodsAt(now: Date): Periods {
  const text = now.toISOString();
  return { day: text.slice(0, 10), month: text.slice(0, 7) };
}

/** When the period that `now` lies in is over. */
export function periodEnd(period: PeriodName, now: Date): Date {
  const [year, month, day] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()];
  return new Date(period === 'day' ? Date.UTC(year, month, day + 1) : Date.UTC(year, month + 1, 1));
}
