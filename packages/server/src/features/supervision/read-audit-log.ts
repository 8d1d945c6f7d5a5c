import type { AuditEntry, AuditLogInput, AuditLogOutput } from '@chat-service/shared/supervisor-api';
import type { Database } from '../../db/database.ts';
import { latestTime, pageRead, paginate, timeAndId } from '../../platform/paging.ts';
import type { AuditRow, AuditStore } from './audit-store.ts';

/**
 * The entries of the audit log, newest first. `total` is exact up to 1,000, and pages go as far; cursors go to the end.
 * Reading adds an entry, so that pages move on by one with each read while cursors stay where they are.
 */
export type ReadAuditLog = (request: AuditLogInput) => Promise<AuditLogOutput>;

export interface ReadAuditLogDependencies {
  readonly database: Database;
  readonly audit: Pick<AuditStore, 'list' | 'count'>;
}

/** Counting more would cost as much as reading them all. */
const mostCounted = 1000;
const auditCursor = timeAndId.transform(([at, id]) => ({ at, id }));

export function createReadAuditLog({ database, audit }: ReadAuditLogDependencies): ReadAuditLog {
  return async function readAuditLog({ actorId, subjectId, from, to, ...request }) {
    const { start, fetch } = pageRead(auditCursor, request);
    const filter = { actorId, subjectId, from: timeOf(from), to: timeOf(to) };
    const total = await audit.count(database.query, filter, mostCounted);
    const beyond = start.after === null && start.offset >= total;
    const found = beyond ? [] : await audit.list(database.query, filter, start, fetch);
    const { rows, pagination } = paginate(found, request, total, ({ at, id }) => [at.getTime(), id]);
    return { entries: rows.map(toEntry), pagination };
  };
}

/** Nothing was recorded before 1970, and neither a year 0 nor a year 10,000 is a time to every database. */
function timeOf(text: string | undefined): Date | null {
  return text === undefined ? null : new Date(Math.min(Math.max(0, Date.parse(text)), latestTime));
}

function toEntry({ at, ...row }: AuditRow): AuditEntry {
  return { ...row, at: at.toISOString() };
}
