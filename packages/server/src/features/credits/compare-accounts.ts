import { formatCredits } from './credit-text.ts';
import { readInBatches } from './read-in-batches.ts';
import type { ReconciliationStore } from './reconciliation-store.ts';

/** Sums over all accounts, in millionths. Together they may be more than a number can count. */
export interface CreditTotals {
  readonly accounts: number;
  readonly granted: bigint;
  readonly available: bigint;
  readonly held: bigint;
  readonly spent: bigint;
  readonly absorbed: bigint;
}

/** Few: of each account all entries and usage records are added up in one statement. */
const accountsAtOnce = 100;
const holdersAtOnce = 500;

/** Compares every account with its entries in the ledger and with its usage records. */
export async function compareAccounts(
  store: ReconciliationStore,
  tell: (problem: string) => void,
): Promise<CreditTotals> {
  const totals = { accounts: 0, granted: 0n, available: 0n, held: 0n, spent: 0n, absorbed: 0n };
  for await (const account of readInBatches(store.listAccounts, accountsAtOnce, ({ userId }) => userId)) {
    const { granted, held, spent, absorbed } = account;
    const tellOf = (words: string) => tell(`user ${JSON.stringify(account.userId)}: ${words}`);
    const expectEqual = (what: string, amount: number, source: string, other: number) => {
      if (amount === other) return;
      tellOf(`${what} credits differ: ${formatCredits(amount)} on the account, ${formatCredits(other)} in ${source}`);
    };
    expectEqual('granted', granted, 'the ledger', account.grantedEntries);
    expectEqual('spent', spent, 'the ledger', -account.chargedEntries);
    expectEqual('spent', spent, 'usage records', account.chargedUsage);
    expectEqual('held', held, 'usage records', account.heldUsage);
    expectEqual('absorbed', absorbed, 'usage records', account.absorbedUsage);
    const available = granted - held - spent;
    if (available < 0) tellOf(`the balance is ${formatCredits(available)} credits`);
    totals.accounts += 1;
    totals.granted += BigInt(granted);
    totals.available += BigInt(available);
    totals.held += BigInt(held);
    totals.spent += BigInt(spent);
    totals.absorbed += BigInt(absorbed);
  }
  for await (const { userId, account } of readInBatches(store.listEntryHolders, holdersAtOnce, (row) => row.userId)) {
    if (account === null) tell(`user ${JSON.stringify(userId)}: the ledger has entries, and there is no account`);
  }
  return totals;
}
