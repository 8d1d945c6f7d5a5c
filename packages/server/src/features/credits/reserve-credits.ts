import type { Accounting, AccountHolder, CreditDecision, Hold } from '../../clients/accounting/accounting.ts';
import type { Clock } from '../../platform/clock.ts';
import { ServiceError } from '../../platform/service-error.ts';
import { affordableTokens, costOf, dearestOf, type TokenPrice } from './credit-amount.ts';
import { quotaExceeded } from './quota-exceeded.ts';

export interface ReserveRequest extends AccountHolder {
  /** The generation's id. */
  readonly usageId: string;
  readonly sessionId: string;
  readonly modelId: string;
  /** As counted here. */
  readonly promptTokens: number;
  /** Whether every model that may answer counts like that too; otherwise the prompt is taken to be a quarter longer. */
  readonly countedExactly: boolean;
  /** Most tokens of the answer. */
  readonly maxTokens: number;
  /** Of every model that may answer. */
  readonly prices: readonly TokenPrice[];
  /** Called before anybody is asked for credit. */
  readonly onAsk: () => void;
}

/** What is held for a generation, and how much of an answer that pays for. */
export interface Reservation {
  readonly hold: Hold;
  readonly plan: string;
  readonly maxTokens: number;
  /** The worst case, as quotas count it until the end. */
  readonly quotaTokens: number;
}

/**
 * Holds credit for the worst case of an answer; where credit or the quota of tokens pays for less, the answer's limit is
 * lowered to what they pay for, so that the last credits can be used and nobody overspends.
 * @throws ServiceError `INSUFFICIENT_CREDITS` below one token, `QUOTA_EXCEEDED`; `ACCOUNTING_UNAVAILABLE` where there is
 * no answer, and then something may be held all the same if somebody was asked
 */
export type ReserveCredits = (request: ReserveRequest, signal?: AbortSignal) => Promise<Reservation>;

const margin = 1.25;

export function createReserveCredits({
  accounting,
  clock,
}: {
  accounting: Pick<Accounting, 'check'>;
  clock: Clock;
}): ReserveCredits {
  return async function reserveCredits(request, signal) {
    const { prices, countedExactly, promptTokens, maxTokens: limit, ...rest } = request;
    const price = dearestOf(prices);
    const inputTokens = countedExactly ? promptTokens : Math.ceil(promptTokens * margin);
    const lowered = { credits: false, tokens: false };
    for (let maxTokens = limit; ;) {
      const tokens = { inputTokens, outputTokens: maxTokens };
      const decision = await accounting.check(
        { ...rest, estimate: { ...tokens, credits: costOf(tokens, price) } },
        signal,
      );
      if (decision.kind === 'granted') {
        return { hold: decision.hold, plan: request.plan, maxTokens, quotaTokens: inputTokens + maxTokens };
      }
      const kind = decision.kind === 'quota' ? 'tokens' : 'credits';
      const less = lowered[kind] ? 0 : paidFor(decision, inputTokens, price);
      if (less < 1 || less >= maxTokens) throw refusalOf(decision, clock);
      lowered[kind] = true;
      maxTokens = less;
    }
  };
}

/** How many tokens of an answer what is left pays for. */
function paidFor(
  decision: Exclude<CreditDecision, { kind: 'granted' }>,
  inputTokens: number,
  price: TokenPrice,
): number {
  if (decision.kind === 'quota') return (decision.remainingTokens ?? 0) - inputTokens;
  return decision.remaining === null ? 0 : affordableTokens(decision.remaining, inputTokens, price);
}

function refusalOf(decision: Exclude<CreditDecision, { kind: 'granted' }>, clock: Clock): ServiceError {
  if (decision.kind === 'quota') return quotaExceeded(decision, clock);
  return new ServiceError('INSUFFICIENT_CREDITS', { detail: 'There is not enough credit left for an answer.' });
}
