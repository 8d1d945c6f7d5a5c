import type { CreditDecision } from '../../../src/clients/accounting/accounting.ts';
import type { Plans } from '../../../src/clients/accounting/embedded/plans.ts';

interface Account {
  granted: number;
  held: number;
  spent: number;
  absorbed: number;
}

interface Counters {
  messages: number;
  tokens: number;
  computeMilliseconds: number;
}

interface Usage {
  userId: string;
  held: number | null;
  tokens: number;
  periods: { day: string; month: string };
  state: 'held' | 'over';
}

/** What the embedded ledger should be, in memory and one step after the other. */
export class LedgerModel {
  readonly #plans: Plans;
  readonly #accounts = new Map<string, Account>();
  readonly #grants = new Set<string>();
  readonly #usage = new Map<string, Usage>();
  /** By user and period, in their order. */
  readonly #counters = new Map<string, Counters>();

  constructor(plans: Plans) {
    this.#plans = plans;
  }

  check(
    usageId: string,
    userId: string,
    request: { plan: string; credits: number; tokens: number },
    now: Date,
  ): CreditDecision {
    const [day = '', month = ''] = [10, 7].map((length) => now.toISOString().slice(0, length));
    const name = this.#plans.has(request.plan) ? request.plan : 'free';
    const plan = this.#plans.get(name);
    if (plan === undefined) throw new Error('no plan');
    const account = this.#account(userId);
    const key = `${userId} ${name} ${plan.grant?.every === 'month' ? month : ''}`;
    if (plan.grant !== null && !this.#grants.has(key)) {
      this.#grants.add(key);
      account.granted += plan.grant.amount;
    }

    const used = { day: this.#counter(userId, day), month: this.#counter(userId, month) };
    const ends = {
      day: new Date(Date.parse(day) + 86_400_000),
      month: new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1)),
    };
    for (const quota of ['messages', 'tokens', 'compute'] as const) {
      for (const period of ['month', 'day'] as const) {
        const limit = plan.quotas[period][quota] ?? Infinity;
        const { messages, tokens, computeMilliseconds } = used[period];
        const exceeded = {
          messages: messages + 1 > limit,
          tokens: tokens + request.tokens > limit,
          compute: computeMilliseconds >= limit * 1000,
        }[quota];
        if (!exceeded) continue;
        const left = [(plan.quotas.day.tokens ?? Infinity) - used.day.tokens];
        left.push((plan.quotas.month.tokens ?? Infinity) - used.month.tokens);
        const remainingTokens = Math.max(0, Math.min(...left));
        return { kind: 'quota', quota, resetsAt: ends[period], ...(quota === 'tokens' && { remainingTokens }) };
      }
    }

    const held = plan.grant === null ? null : request.credits;
    const remaining = account.granted - account.held - account.spent;
    if (held !== null && held > remaining) return { kind: 'insufficient', remaining };
    account.held += held ?? 0;
    this.#usage.set(usageId, { userId, held, tokens: request.tokens, periods: { day, month }, state: 'held' });
    this.#count(usageId, { messages: 1, tokens: request.tokens, computeMilliseconds: 0 });
    return { kind: 'granted', hold: { held, holdId: null, periods: { day, month } } };
  }

  isHeld(usageId: string): boolean {
    return this.#usage.get(usageId)?.state === 'held';
  }

  settle(
    usageId: string,
    charge: { credits: number; absorbed: number; tokens: number; computeMilliseconds: number },
  ): void {
    const usage = this.#end(usageId);
    if (usage === null) return;
    const { computeMilliseconds } = charge;
    this.#count(usageId, { messages: 0, tokens: charge.tokens - usage.tokens, computeMilliseconds });
    if (usage.held === null) return;
    const account = this.#account(usage.userId);
    account.spent += charge.credits;
    account.absorbed += charge.absorbed;
  }

  release(usageId: string): void {
    const usage = this.#end(usageId);
    if (usage !== null) this.#count(usageId, { messages: -1, tokens: -usage.tokens, computeMilliseconds: 0 });
  }

  topUp(userId: string, amount: number): void {
    this.#account(userId).granted += amount;
  }

  accounts() {
    return [...this.#accounts].map(([userId, account]) => ({ userId, ...account })).toSorted(byText('userId'));
  }

  quotas() {
    return [...this.#counters]
      .map(([key, counters]) => {
        const [userId = '', period = ''] = key.split(' ');
        return { userId, period, sessions: 0, ...counters };
      })
      .toSorted((one, other) => byText('userId')(one, other) || byText('period')(one, other));
  }

  #end(usageId: string): Usage | null {
    const usage = this.#usage.get(usageId);
    if (usage?.state !== 'held') return null;
    usage.state = 'over';
    this.#account(usage.userId).held -= usage.held ?? 0;
    return usage;
  }

  #account(userId: string): Account {
    const known = this.#accounts.get(userId) ?? { granted: 0, held: 0, spent: 0, absorbed: 0 };
    this.#accounts.set(userId, known);
    return known;
  }

  #counter(userId: string, period: string): Counters {
    return this.#counters.get(`${userId} ${period}`) ?? { messages: 0, tokens: 0, computeMilliseconds: 0 };
  }

  #count(usageId: string, added: Counters): void {
    const usage = this.#usage.get(usageId);
    for (const period of Object.values(usage?.periods ?? {})) {
      const { messages, tokens, computeMilliseconds } = this.#counter(usage?.userId ?? '', period);
      this.#counters.set(`${usage?.userId} ${period}`, {
        messages: messages + added.messages,
        tokens: tokens + added.tokens,
        computeMilliseconds: computeMilliseconds + added.computeMilliseconds,
      });
    }
  }
}

function byText<Name extends string>(name: Name) {
  return (one: Record<Name, string>, other: Record<Name, string>) =>
    one[name] < other[name] ? -1 : one[name] > other[name] ? 1 : 0;
}
