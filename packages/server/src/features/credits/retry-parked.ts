import { eq } from 'drizzle-orm';
import type { Database } from '../../db/database.ts';

/** Has everything delivered again that was refused too often, once its cause is gone; resolves to how much that is. */
export type RetryParked = () => Promise<number>;

export function createRetryParked({ query, tables, dialect }: Database): RetryParked {
  const { accountingOutbox: outbox } = tables;
  return async function retryParked() {
    const rows = await query
      .update(outbox)
      .set({ state: 'pending', refusals: 0, nextAttemptAt: dialect.now() })
      .where(eq(outbox.state, 'parked'))
      .returning({ id: outbox.id });
    return rows.length;
  };
}
