import { sql, type SQL, type SQLWrapper } from 'drizzle-orm';

/*
 * The conditions of the partial indexes. SQLite uses such an index only for a query that repeats its condition word for
 * word, without parameters, so queries and schemas take the text from here.
 */

/** `reserving` or `running`. */
export function isLiveGeneration(generations: { status: SQLWrapper }): SQL {
  return sql`${generations.status} in ('reserving', 'running')`;
}

/** Neither deleted nor temporary: what the list of sessions shows and `users.sessionCount` counts. */
export function isListedSession(sessions: { deletedAt: SQLWrapper; temporary: SQLWrapper }): SQL {
  return sql`${sessions.deletedAt} is null and not ${sessions.temporary}`;
}

/** Deleted, its rows not yet removed. */
export function isTombstone(sessions: { deletedAt: SQLWrapper }): SQL {
  return sql`${sessions.deletedAt} is not null`;
}

/** Reserved and not settled. */
export function isHeldUsage(usageRecords: { state: SQLWrapper }): SQL {
  return sql`${usageRecords.state} = 'held'`;
}

/** To be delivered once its time has come. */
export function isDueDelivery(outbox: { state: SQLWrapper }): SQL {
  return sql`${outbox.state} = 'pending'`;
}
