import type { Logger } from '../../../platform/logger.ts';
import type { Accounting, Charge, Micro } from '../accounting.ts';
import type { ChargedUsage, LedgerStore, UsageRecord } from './ledger-store.ts';
import type { Periods } from './periods.ts';
import type { QuotaStore } from './quota-store.ts';

export interface SettleDependencies {
  readonly ledger: LedgerStore;
  readonly quotas: QuotaStore;
  readonly logger: Logger;
}

/**
 * Charges a hold and releases it, each once: whichever comes first ends the hold, what comes later changes nothing. What
 * counts is the record that the check left, with its amounts and its periods.
 */
export function createSettleHold({
  ledger,
  quotas,
  logger,
}: SettleDependencies): Pick<Accounting, 'settle' | 'release'> {
  return {
    async settle(tx, charge) {
      const { usageId, userId, sessionId, credits, absorbed } = charge;
      assertAmounts(charge);
      const record = await ledger.lockUsageAndAccount(tx, usageId, userId);
      if (record === null) {
        logger.error({ usageId }, 'a generation was charged for which nothing was held: no account is moved');
        await ledger.insertCharged(tx, { usageId, userId, sessionId }, chargedUsage(charge));
        return;
      }
      if (record.state !== 'held') return;
      const held = heldHere(record);
      if (held !== null) {
        if (credits > held)
          throw new Error(`Generation ${usageId} is charged ${credits}, and ${held} are held for it.`);
        await ledger.spend(tx, { userId, usageId }, { held, credits, absorbed });
      }
      const usage = chargedUsage(charge);
      await ledger.markCharged(tx, usageId, usage);
      // A clock that was set back gives no compute back.
      const computeMilliseconds = Math.max(0, Math.round(charge.computeMilliseconds));
      await correctQuotas(tx, record, { tokens: usage.quotaTokens - record.quotaTokens, computeMilliseconds });
    },

    async release(tx, { usageId, userId }) {
      const record = await ledger.lockUsageAndAccount(tx, usageId, userId);
      if (record === null) return ledger.insertReleased(tx, { usageId, userId });
      if (record.state !== 'held') return;
      const held = heldHere(record);
      if (held !== null) await ledger.giveBack(tx, userId, held);
      await ledger.markReleased(tx, usageId);
      await correctQuotas(tx, record, { messages: -1, tokens: -record.quotaTokens, computeMilliseconds: 0 });
    },
  };

  async function correctQuotas(
    tx: Parameters<QuotaStore['correct']>[0],
    record: UsageRecord,
    amounts: { messages?: number; tokens: number; computeMilliseconds: number },
  ): Promise<void> {
    const periods = periodsOf(record);
    if (periods === null) return;
    await quotas.correct(tx, record.userId, periods, amounts);
  }
}

function chargedUsage({
  modelId,
  inputTokens,
  outputTokens,
  credits,
  absorbed,
  outcome,
  occurredAt,
}: Charge): ChargedUsage {
  return {
    modelId,
    inputTokens,
    outputTokens,
    quotaTokens: inputTokens + outputTokens,
    charged: credits,
    absorbed,
    outcome,
    settledAt: occurredAt,
  };
}

function periodsOf({ day, month }: UsageRecord): Periods | null {
  return day === null || month === null ? null : { day, month };
}

/** Null where no account of this ledger holds it: no credits are counted, or the Accounting Service was asked for them. */
function heldHere(record: UsageRecord): Micro | null {
  return periodsOf(record) === null ? null : record.held;
}

function assertAmounts({ credits, absorbed }: Charge): void {
  for (const amount of [credits, absorbed]) {
    if (!Number.isSafeInteger(amount) || amount < 0) throw new RangeError(`${amount} is no amount to charge.`);
  }
}
