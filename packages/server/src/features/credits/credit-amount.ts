import { microPerCredit, type Micro } from '../../clients/accounting/accounting.ts';

/** Credits per 1,000 tokens. */
export interface TokenPrice {
  readonly input: number;
  readonly output: number;
}

export interface TokenAmounts {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** Credits of at most 6 decimal places as an integer of millionths. */
export function toMicro(credits: number): Micro {
  return Math.round(credits * microPerCredit);
}

/** Millionths as clients see them: a decimal number with at most 6 places. */
export function toCredits(micro: Micro): number {
  return micro / microPerCredit;
}

/** The largest cost that is told, more than any account can hold: beyond it a number is no longer exact. */
const mostCost = 9_000_000_000_000_000n;

/** What tokens cost: one rounding up, in integers throughout; nine billion credits at most. */
export function costOf({ inputTokens, outputTokens }: TokenAmounts, price: TokenPrice): Micro {
  const thousandfold =
    BigInt(inputTokens) * BigInt(toMicro(price.input)) + BigInt(outputTokens) * BigInt(toMicro(price.output));
  const cost = (thousandfold + 999n) / 1000n;
  return Number(cost < mostCost ? cost : mostCost);
}

/** {@link costOf} in credits. */
export function creditsFor(tokens: TokenAmounts, price: TokenPrice): number {
  return toCredits(costOf(tokens, price));
}

/** Each of the two at its dearest: what no model of a chain exceeds. */
export function dearestOf(prices: readonly TokenPrice[]): TokenPrice {
  return {
    input: Math.max(0, ...prices.map(({ input }) => input)),
    output: Math.max(0, ...prices.map(({ output }) => output)),
  };
}

/** How many tokens of an answer `credits` pays for beside its prompt; 0 where it does not pay for one, infinite where they cost nothing. */
export function affordableTokens(credits: Micro, inputTokens: number, price: TokenPrice): number {
  const perToken = BigInt(toMicro(price.output));
  const left = BigInt(credits) * 1000n - BigInt(inputTokens) * BigInt(toMicro(price.input));
  if (left < 0n) return 0;
  return perToken === 0n ? Number.POSITIVE_INFINITY : Number(left / perToken);
}
