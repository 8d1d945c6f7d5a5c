import { expect, vi } from 'vitest';
import { openRawSql } from '../../../packages/server/test/support/raw-sql.ts';
import { patience } from './call-for.ts';
import type { World } from './world.ts';

export interface QueuedCalls {
  readonly userId: string;
  readonly count: number;
  /** Makes the calls; resolves when each is about to claim. */
  readonly begin: () => Promise<void>;
  /** A call like theirs. */
  readonly last: () => Promise<unknown>;
}

const waiting = `select distinct pid, xact_start from pg_locks join pg_stat_activity using (pid)
  where not granted and datname = current_database()`;

/**
 * Makes calls of a user, and resolves when each has been through the transaction in which it claims: on Postgres they are
 * seen to wait for the account, and to be through with it; on SQLite one transaction comes after the other, so that the
 * last call is answered after them.
 */
export async function letThrough(
  { kind, databaseUrl }: World,
  { userId, count, begin, last }: QueuedCalls,
): Promise<void> {
  if (kind === 'sqlite') {
    await begin();
    await last();
    return;
  }
  await using holder = openRawSql(databaseUrl);
  await using watcher = openRawSql(databaseUrl);
  await holder.run(`begin; select 1 from users where id = '${userId}' for update`);
  await begin();
  const counted = async (rows: string) => watcher.number(`select count(*) from (${rows}) as found`);
  await vi.waitFor(async () => expect(await counted(waiting)).toBe(count), patience);
  await watcher.run(`create temporary table queued as ${waiting}`);
  await holder.run('commit');
  const left = 'select 1 from queued join pg_stat_activity using (pid, xact_start)';
  await vi.waitFor(async () => expect(await counted(left)).toBe(0), patience);
}
