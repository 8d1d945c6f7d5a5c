/** Amounts in whole millionths of a credit. */
type Micro = number;

export interface FakeCheck {
  readonly usageId: string;
  readonly userId: string;
  readonly plan: string;
  readonly operation: 'session' | 'message';
  readonly credits: Micro;
  readonly holdSeconds: number;
}

/** Something that happened to an account, once. */
export interface FakeEffect {
  readonly kind: 'hold' | 'charge' | 'release' | 'expiry';
  readonly usageId: string;
  readonly userId: string;
  /** What was held, charged, given back. */
  readonly credits: Micro;
  /** By the fake's clock. */
  readonly at: number;
  /** The request that did it; null for an expiry. */
  readonly request: number | null;
}

export interface FakeHold {
  readonly usageId: string;
  readonly userId: string;
  readonly holdId: string;
  readonly credits: Micro;
  readonly expiresAt: number;
  readonly state: 'open' | 'charged' | 'released' | 'expired';
}

export interface FakeTotals {
  readonly granted: Micro;
  readonly held: Micro;
  readonly spent: Micro;
  /** Negative where more was charged than was held. */
  readonly available: Micro;
}

export type FakeDecision =
  | { readonly kind: 'granted'; readonly holdId: string | null; readonly remaining: Micro }
  | { readonly kind: 'insufficient'; readonly remaining: Micro };

interface Account {
  granted: Micro;
  plan: string;
}

export interface FakeBooksOptions {
  readonly now: () => number;
  /** What a user gets who was never heard of; null: such a user is unknown. */
  readonly credits: Micro | null;
}

/**
 * What an Accounting Service keeps, and every effect in order: idempotent under the usage id, as the contract has it.
 * Sums are taken from the effects, so that nothing can be charged without being in the journal.
 */
export class FakeBooks {
  readonly effects: FakeEffect[] = [];
  readonly #accounts = new Map<string, Account>();
  readonly #holds = new Map<string, FakeHold>();
  readonly #options: FakeBooksOptions;

  constructor(options: FakeBooksOptions) {
    this.#options = options;
  }

  setAccount(userId: string, granted: Micro, plan: string): void {
    this.#accounts.set(userId, { granted, plan });
  }

  planOf(userId: string): string | null {
    return this.#accounts.get(userId)?.plan ?? null;
  }

  check(request: number, { usageId, userId, plan, operation, credits, holdSeconds }: FakeCheck): FakeDecision {
    this.#expire();
    const { credits: granted } = this.#options;
    if (!this.#accounts.has(userId) && granted !== null) this.setAccount(userId, granted, plan);
    const remaining = this.totals(userId).available;
    const known = this.#holds.get(usageId);
    if (known !== undefined) return { kind: 'granted', holdId: known.holdId, remaining };
    if (!this.#accounts.has(userId) || remaining < credits) return { kind: 'insufficient', remaining };
    if (operation === 'session') return { kind: 'granted', holdId: null, remaining };
    const expiresAt = this.#options.now() + holdSeconds * 1000;
    const holdId = `hold-${this.#holds.size + 1}`;
    this.#holds.set(usageId, { usageId, userId, holdId, credits, expiresAt, state: 'open' });
    this.#happened('hold', { usageId, userId, credits }, request);
    return { kind: 'granted', holdId, remaining: remaining - credits };
  }

  /** False where it was charged before. */
  record(request: number, charge: { usageId: string; userId: string; credits: Micro }): boolean {
    this.#expire();
    if (this.chargesOf(charge.usageId).length > 0) return false;
    this.#happened('charge', charge, request);
    this.#end(charge.usageId, 'charged');
    return true;
  }

  /** False where nothing is known of it. */
  release(request: number, { usageId, userId }: { usageId: string; userId: string }): boolean {
    this.#expire();
    const hold = this.#holds.get(usageId);
    if (hold === undefined) return false;
    if (hold.state === 'open') this.#happened('release', { usageId, userId, credits: hold.credits }, request);
    this.#end(usageId, 'released');
    return true;
  }

  holdOf(usageId: string): FakeHold | null {
    this.#expire();
    return this.#holds.get(usageId) ?? null;
  }

  openHolds(): FakeHold[] {
    this.#expire();
    return [...this.#holds.values()].filter(({ state }) => state === 'open');
  }

  chargesOf(usageId: string): FakeEffect[] {
    return this.effects.filter((effect) => effect.kind === 'charge' && effect.usageId === usageId);
  }

  totals(userId: string): FakeTotals {
    const sum = (entries: readonly { readonly userId: string; readonly credits: Micro }[]) =>
      entries.filter((entry) => entry.userId === userId).reduce((total, { credits }) => total + credits, 0);
    const granted = this.#accounts.get(userId)?.granted ?? 0;
    const held = sum(this.openHolds());
    const spent = sum(this.effects.filter(({ kind }) => kind === 'charge'));
    return { granted, held, spent, available: granted - held - spent };
  }

  #happened(
    kind: FakeEffect['kind'],
    what: { usageId: string; userId: string; credits: Micro },
    request: number | null,
  ) {
    const { usageId, userId, credits } = what;
    this.effects.push({ kind, usageId, userId, credits, at: this.#options.now(), request });
  }

  #end(usageId: string, state: FakeHold['state']) {
    const hold = this.#holds.get(usageId);
    if (hold?.state === 'open') this.#holds.set(usageId, { ...hold, state });
  }

  #expire() {
    for (const hold of this.#holds.values()) {
      if (hold.state !== 'open' || hold.expiresAt > this.#options.now()) continue;
      this.#end(hold.usageId, 'expired');
      this.#happened('expiry', hold, null);
    }
  }
}
