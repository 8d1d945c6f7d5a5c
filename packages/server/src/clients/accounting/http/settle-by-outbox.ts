import { and, eq } from 'drizzle-orm';
import type { OutboxBody } from '../../../db/column-types.ts';
import { isHeldUsage } from '../../../db/conditions.ts';
import type { Database, Queryable, Tables } from '../../../db/database.ts';
import type { NewId } from '../../../platform/ids.ts';
import type { Settling } from '../accounting.ts';
import type { OutboxStore } from './outbox-store.ts';
import { creditsOf } from './wire-credits.ts';

export interface SettleByOutboxOptions {
  readonly database: Pick<Database, 'tables' | 'dialect'>;
  readonly outbox: OutboxStore;
  readonly newId: NewId;
}

type Settlement = Partial<Tables['usageRecords']['$inferInsert']> & { state: 'charged' | 'released'; charged: number };

/**
 * Writes into the caller's transaction what the Accounting Service will be told after it: once for each usage id, and
 * whether or not there is one configured now.
 */
export function createSettleByOutbox(options: SettleByOutboxOptions): Settling {
  const { outbox, newId } = options;
  const { tables, dialect } = options.database;
  const { usageRecords } = tables;

  /** False where it was settled before. A usage without a record, as that of a refused claim, is settled for the first time. */
  async function settleRecord(tx: Queryable, usageId: string, settlement: Settlement): Promise<boolean> {
    const changed = await tx
      .update(usageRecords)
      .set({ ...settlement, settledAt: dialect.now() })
      .where(and(eq(usageRecords.usageId, usageId), isHeldUsage(usageRecords)))
      .returning({ usageId: usageRecords.usageId });
    if (changed.length > 0) return true;
    const found = await tx
      .select({ usageId: usageRecords.usageId })
      .from(usageRecords)
      .where(eq(usageRecords.usageId, usageId));
    return found.length === 0;
  }

  async function settleOnce(tx: Queryable, body: OutboxBody, settlement: Settlement): Promise<void> {
    if (await settleRecord(tx, body.usageId, settlement)) await outbox.insert(tx, { id: newId(), body });
  }

  return {
    async settle(tx, { usageId, userId, sessionId, modelId, hold, occurredAt, ...charge }) {
      const { inputTokens, outputTokens, credits, absorbed, outcome } = charge;
      const body: OutboxBody = {
        kind: 'record',
        usageId,
        ...(hold.holdId !== null && { holdId: hold.holdId }),
        userId,
        sessionId,
        messageId: usageId,
        modelId,
        inputTokens,
        outputTokens,
        credits: creditsOf(credits),
        outcome,
        occurredAt: occurredAt.toISOString(),
      };
      const used = { inputTokens, outputTokens, outcome };
      await settleOnce(tx, body, { state: 'charged', charged: credits, absorbed, ...used });
    },

    async release(tx, { usageId, userId, hold: { holdId } }) {
      const body: OutboxBody = { kind: 'release', usageId, ...(holdId !== null && { holdId }), userId };
      await settleOnce(tx, body, { state: 'released', charged: 0 });
    },
  };
}
