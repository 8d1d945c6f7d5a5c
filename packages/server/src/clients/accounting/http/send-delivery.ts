import type { OutboxBody } from '../../../db/column-types.ts';
import { AccountingFailure } from './accounting-failure.ts';
import type { CallService, ServiceAnswer, ServiceCall } from './call-service.ts';
import { malformed, statusFailure } from './read-answer.ts';
import { recordAnswerSchema } from './wire.ts';

export type DeliveryOutcome =
  | { readonly kind: 'delivered' }
  /** It was understood and not wanted, and will not be the next time either. */
  | { readonly kind: 'refused'; readonly status: number }
  | { readonly kind: 'unanswered'; readonly failure: AccountingFailure };

/** Tells the Accounting Service of one usage, in one try. Rejects with the signal's reason alone. */
export type SendDelivery = (body: OutboxBody, signal: AbortSignal) => Promise<DeliveryOutcome>;

/** 4xx that may be gone the next time: our token, their load. */
const passing: readonly number[] = [401, 403, 408, 425, 429];

export function createSendDelivery({ callService }: { callService: CallService }): SendDelivery {
  return async function sendDelivery(body, signal) {
    try {
      return outcomeOf(body.kind, await callService(callOf(body), signal));
    } catch (error) {
      if (error instanceof AccountingFailure) return { kind: 'unanswered', failure: error };
      throw error;
    }
  };
}

function callOf({ kind, ...body }: OutboxBody): ServiceCall {
  const path = kind === 'record' ? '/api/usage/record' : '/api/credits/release';
  return { method: 'POST', path, idempotencyKey: body.usageId, body };
}

function outcomeOf(kind: OutboxBody['kind'], answer: ServiceAnswer): DeliveryOutcome {
  const { status, json, isPage } = answer;
  if (kind === 'release') {
    // A body is not asked for; a sign-in page is no answer all the same.
    if (status === 200 && isPage) return { kind: 'unanswered', failure: malformed(answer) };
    if (status === 200 || status === 204 || status === 404) return { kind: 'delivered' };
  } else {
    if (status === 409) return { kind: 'delivered' };
    if (status === 200 || status === 201) {
      if (recordAnswerSchema.safeParse(json).success) return { kind: 'delivered' };
      // Whatever answered in its place, nothing says that it is recorded.
      return { kind: 'unanswered', failure: malformed(answer) };
    }
  }
  if (status >= 400 && status < 500 && !passing.includes(status)) return { kind: 'refused', status };
  return { kind: 'unanswered', failure: statusFailure(answer) };
}
