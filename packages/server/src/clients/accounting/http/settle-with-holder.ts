import type { Hold, Settling } from '../accounting.ts';

export interface SettleWithHolderOptions {
  /** The ledger that kept the credits before an Accounting Service did. */
  readonly ledger: Settling;
  readonly service: Settling;
}

/** Settles with whoever holds: of what ran when a server died that had none, an Accounting Service has never heard. */
export function createSettleWithHolder({ ledger, service }: SettleWithHolderOptions): Settling {
  const holderOf = ({ periods }: Hold) => (periods === null ? service : ledger);
  return {
    settle: (tx, charge) => holderOf(charge.hold).settle(tx, charge),
    release: (tx, release) => holderOf(release.hold).release(tx, release),
  };
}
