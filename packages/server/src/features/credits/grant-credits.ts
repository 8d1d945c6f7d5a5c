import type { Micro } from '../../clients/accounting/accounting.ts';
import type { Database } from '../../db/database.ts';
import type { NewId } from '../../platform/ids.ts';
import { createCreditsStore } from './credits-store.ts';

export interface GrantedCredits {
  /** What can be spent now. */
  readonly available: Micro;
  /** Whether the user has been here; where not, the plan's grant comes with the first request. */
  readonly isKnown: boolean;
}

/**
 * Tops up an account of the embedded ledger, which is made where there is none. Null where the account would hold more
 * than can be counted, and nothing is changed.
 * @param amount more than 0
 */
export type GrantCredits = (userId: string, amount: Micro) => Promise<GrantedCredits | null>;

/** Five billion credits. Plans may give nearly as much again before JavaScript can count no millionths of it. */
const most: Micro = 5_000_000_000_000_000;

export function createGrantCredits({ database, newId }: { database: Database; newId: NewId }): GrantCredits {
  const store = createCreditsStore(database);

  return async function grantCredits(userId, amount) {
    if (!Number.isSafeInteger(amount) || amount <= 0) throw new RangeError(`${amount} is no amount to grant.`);
    return database.transaction(async (tx) => {
      const available = await store.topUp(tx, userId, amount, most);
      if (available === null) return null;
      await store.insertTopUp(tx, userId, newId(), amount);
      return { available, isKnown: await store.isKnown(tx, userId) };
    });
  };
}
