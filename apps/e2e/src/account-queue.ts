import { expect, vi } from 'vitest';
import { openRawSql } from '../../../packages/server/test/support/raw-sql.ts';
import { patience } from './call-for.ts';
import type { World } from './world.ts';

const waiting = `select count(distinct pid) from pg_locks join pg_stat_activity using (pid)
  where not granted and datname = current_database()`;

/**
 * Begins calls of a user, and resolves when each of the `count` has been through the transaction that claims: on Postgres
 * they are queued at the account's lock and let through before somebody who comes last; on SQLite, where transactions come
 * one after the other, before a call that comes last.
 */
export async function letThrough(
  { kind, databaseUrl }: World,
  {
    userId,
    count,
    begin,
    last,
  }: { userId: string; count: number; begin: () => Promise<void>; last: () => Promise<unknown> },
): Promise<void> {
  if (kind === 'sqlite') {
    await begin();
    await last();
    return;
  }
  const takeLock = `begin; select 1 from users where id = '${userId}' for update`;
  await using sql = openRawSql(databaseUrl);
  await using watcher = openRawSql(databaseUrl);
  await sql.run(takeLock);
  await begin();
  await vi.waitFor(async () => expect(await watcher.number(waiting)).toBe(count), patience);
  await sql.run('commit');
  await sql.run(takeLock);
  await sql.run('commit');
}
