import type { Logger } from '../../../platform/logger.ts';
import type { Charge, Settling } from '../accounting.ts';
import { holdOf } from '../usage-record.ts';
import type { ChargedUsage, LedgerStore } from './ledger-store.ts';
import type { QuotaStore } from './quota-store.ts';

export interface SettleDependencies {
  readonly ledger: LedgerStore;
  readonly quotas: QuotaStore;
  /** What an Accounting Service held when a server died, which then came back without one, is its to settle. */
  readonly service: Settling;
  readonly logger: Logger;
}

const leftToService = 'What an Accounting Service holds is kept until it can be told: ACCOUNTING_URL is not set.';

/**
 * Charges a hold and releases it, each once: whichever comes first ends the hold, what comes later changes nothing. What
 * counts is the record that the check left, with its amounts and its periods.
 */
export function createSettleHold({ ledger, quotas, service, logger }: SettleDependencies): Settling {
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
      const { held, periods } = holdOf(record);
      if (periods === null) {
        logger.warn({ usageId }, leftToService);
        return service.settle(tx, charge);
      }
      if (held !== null) {
        if (credits > held)
          throw new Error(`Generation ${usageId} is charged ${credits}, and ${held} are held for it.`);
        await ledger.spend(tx, { userId, usageId }, { held, credits, absorbed });
      }
      const usage = chargedUsage(charge);
      await ledger.markCharged(tx, usageId, usage);
      // A clock that was set back gives no compute back.
      const computeMilliseconds = Math.max(0, Math.round(charge.computeMilliseconds));
      const tokens = usage.quotaTokens - record.quotaTokens;
      await quotas.correct(tx, userId, periods, { tokens, computeMilliseconds });
    },

    async release(tx, release) {
      const { usageId, userId } = release;
      const record = await ledger.lockUsageAndAccount(tx, usageId, userId);
      if (record === null) return ledger.insertReleased(tx, { usageId, userId });
      if (record.state !== 'held') return;
      const { held, periods } = holdOf(record);
      if (periods === null) {
        logger.warn({ usageId }, leftToService);
        return service.release(tx, release);
      }
      if (held !== null) await ledger.giveBack(tx, userId, held);
      await ledger.markReleased(tx, usageId);
      await quotas.correct(tx, userId, periods, { messages: -1, tokens: -record.quotaTokens });
    },
  };
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

function assertAmounts({ credits, absorbed }: Charge): void {
  for (const amount of [credits, absorbed]) {
    if (!Number.isSafeInteger(amount) || amount < 0) throw new RangeError(`${amount} is no amount to charge.`);
  }
}
