import type { Tables } from '../../db/database.ts';
import type { Hold } from './accounting.ts';

/** What was held for a generation, and what came of it. */
export type UsageRecord = Tables['usageRecords']['$inferSelect'];

/** The hold that a record stands for. Every check of the embedded ledger leaves its periods; an Accounting Service's has none. */
export function holdOf({ held, holdId, day, month }: UsageRecord): Hold {
  return { held, holdId, periods: day === null || month === null ? null : { day, month } };
}
