/** Credits per 1,000 tokens. */
export interface TokenPrice {
  readonly input: number;
  readonly output: number;
}

const micro = 1_000_000n;

/** A price of at most 6 decimal places as an integer of a millionth of a credit. */
function toMicro(credits: number): bigint {
  return BigInt(Math.round(credits * Number(micro)));
}

/** What tokens cost, in credits of at most 6 decimal places: one rounding up, in integers of a millionth. */
export function creditsFor(tokens: { inputTokens: number; outputTokens: number }, price: TokenPrice): number {
  const thousandfold =
    BigInt(tokens.inputTokens) * toMicro(price.input) + BigInt(tokens.outputTokens) * toMicro(price.output);
  return Number((thousandfold + 999n) / 1000n) / Number(micro);
}
