import type { Balance, Micro } from '../accounting.ts';
import { AccountingFailure } from './accounting-failure.ts';
import type { ServiceAnswer } from './call-service.ts';
import { microOf } from './wire-credits.ts';
import { balanceAnswerSchema, checkAnswerSchema, paymentRequiredSchema, quotaAnswerSchema } from './wire.ts';

export type CheckAnswer =
  | { readonly kind: 'granted'; readonly holdId: string | null }
  | { readonly kind: 'insufficient'; readonly remaining: Micro | null }
  | { readonly kind: 'quota'; readonly quota: string; readonly resetsAt: Date };

/** @throws AccountingFailure at what is no answer */
export function readCheckAnswer(answer: ServiceAnswer): CheckAnswer {
  const { status, json } = answer;
  if (status === 200) {
    const { data } = checkAnswerSchema.safeParse(json);
    if (data === undefined) throw malformed(answer);
    return data.sufficient
      ? { kind: 'granted', holdId: data.holdId ?? null }
      : { kind: 'insufficient', remaining: remainderOf(data.remainingCredits) };
  }
  if (status === 402) {
    return { kind: 'insufficient', remaining: remainderOf(paymentRequiredSchema.parse(json).remainingCredits) };
  }
  if (status === 429) {
    const { data } = quotaAnswerSchema.safeParse(json);
    if (data === undefined) throw malformed(answer);
    return { kind: 'quota', ...data };
  }
  throw statusFailure(answer);
}

/** Null for a user whom the service does not know. @throws AccountingFailure at what is no answer */
export function readBalanceAnswer(answer: ServiceAnswer): Balance | null {
  if (answer.status === 404) return null;
  if (answer.status !== 200) throw statusFailure(answer);
  const { data } = balanceAnswerSchema.safeParse(answer.json);
  if (data === undefined) throw malformed(answer);
  const { credits, held, plan, quotas } = data;
  return { credits: credits === null ? null : microOf(credits), held: microOf(held ?? 0), plan, quotas };
}

function remainderOf(credits: number | null | undefined): Micro | null {
  return credits == null ? null : Math.max(0, microOf(credits));
}

export function statusFailure({ status, retryAfter }: ServiceAnswer): AccountingFailure {
  return new AccountingFailure(`status ${status}`, { status, retryAfter });
}

export function malformed({ status, retryAfter }: ServiceAnswer): AccountingFailure {
  return new AccountingFailure(`status ${status} with a body that says nothing`, { status, retryAfter });
}
