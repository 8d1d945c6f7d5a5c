import type { Accounting, Hold, Micro } from '../../clients/accounting/accounting.ts';
import { holdOf } from '../../clients/accounting/usage-record.ts';
import type { UsageOutcome } from '../../db/column-types.ts';
import type { Queryable } from '../../db/database.ts';
import { ServiceError } from '../../platform/service-error.ts';
import type { Reservation } from './reserve-credits.ts';
import type { UsageRecordsStore } from './usage-records-store.ts';

/** The generation that credit is held for. */
export interface UsageOwner {
  /** The generation's id. */
  readonly usageId: string;
  readonly userId: string;
}

export interface UsedTokens {
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** What they cost, whatever is held. */
  readonly cost: Micro;
  /** The model that answered. */
  readonly modelId: string;
}

export interface EndedUsage extends UsageOwner {
  /** Null: nothing is charged. */
  readonly used: UsedTokens | null;
  readonly outcome: UsageOutcome;
  readonly computeMilliseconds: number;
  readonly occurredAt: Date;
}

/** What becomes of a hold, each in the transaction that decides about its generation and after everything that it locks. */
export interface SettleUsage {
  /** With the admission: from here on the hold is settled when the generation ends. @throws ServiceError `UNAVAILABLE` */
  admit(
    tx: Queryable,
    usage: UsageOwner & { sessionId: string; modelId: string; at: Date },
    reservation: Reservation,
  ): Promise<void>;
  /** With the end: charges what was used, never more than is held, and tells what was charged. */
  end(tx: Queryable, usage: EndedUsage): Promise<Micro>;
  /** With the refusal of a generation for which credit was asked. */
  refuse(tx: Queryable, usage: UsageOwner): Promise<void>;
  /** After the commit of an end or a refusal: whoever is to be told of it need not wait. */
  committed(): void;
}

const nothingHeld: Hold = { held: null, holdId: null, periods: null };

export function createSettleUsage({
  accounting,
  store,
  committed = () => undefined,
}: {
  accounting: Pick<Accounting, 'settle' | 'release'>;
  store: UsageRecordsStore;
  /** @default nobody is told */
  committed?: (() => void) | undefined;
}): SettleUsage {
  return {
    committed,
    async admit(tx, { usageId, userId, sessionId, modelId, at }, { hold, plan, quotaTokens }) {
      const { held, holdId, periods } = hold;
      const what = { usageId, userId, sessionId, modelId, plan, held, holdId, quotaTokens };
      await store.insert(tx, { ...what, ...periods, state: 'held', createdAt: at });
      const record = await store.lock(tx, usageId);
      // It was given back meanwhile, in the place of an owner that took too long.
      if (record?.state !== 'held') throw new ServiceError('UNAVAILABLE', { detail: 'The request took too long.' });
    },

    async end(tx, { usageId, userId, used, outcome, computeMilliseconds, occurredAt }) {
      const record = await store.lock(tx, usageId);
      if (record === null) return used?.cost ?? 0;
      if (record.state !== 'held') return record.charged ?? 0;
      const hold = holdOf(record);
      const { sessionId, quotaTokens } = record;
      if (used === null) {
        await accounting.release(tx, { usageId, userId, hold, quotaTokens });
        return 0;
      }
      const { cost, ...tokens } = used;
      const credits = hold.held === null ? cost : Math.min(cost, hold.held);
      const absorbed = cost - credits;
      const what = { usageId, userId, sessionId, hold, quotaTokens, outcome, computeMilliseconds, occurredAt };
      await accounting.settle(tx, { ...what, ...tokens, credits, absorbed });
      return credits;
    },

    async refuse(tx, { usageId, userId }) {
      const record = await store.lock(tx, usageId);
      const hold = record === null ? nothingHeld : holdOf(record);
      const quotaTokens = record?.quotaTokens ?? 0;
      await accounting.release(tx, { usageId, userId, hold, quotaTokens });
    },
  };
}
