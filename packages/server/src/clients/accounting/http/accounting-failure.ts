import { ServiceError } from '../../../platform/service-error.ts';

export interface AccountingFailureOptions {
  /** The status of the answer; null where there was none. */
  readonly status?: number | null;
  /** Milliseconds that the service asked to wait before a repeat. */
  readonly retryAfter?: number | undefined;
}

/** 4xx that say nothing about the request itself. */
const passing: readonly number[] = [408, 425, 429];

/** The Accounting Service gave no answer, or none that says anything. The message is in our own words, fit for the log. */
export class AccountingFailure extends Error {
  override readonly name = 'AccountingFailure';
  readonly status: number | null;
  readonly retryAfter: number | undefined;

  constructor(message: string, { status = null, retryAfter }: AccountingFailureOptions = {}) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }

  /** False where it did answer, and did not want this very request: another one may fare better, a repeat will not. */
  get isServiceAtFault(): boolean {
    const { status } = this;
    return status === null || status < 400 || status >= 500 || passing.includes(status);
  }
}

/** Seconds, where the service itself names no time: its circuit is closed again by then, or tries to. */
const retryAfterSeconds = 5;
const longestRetryAfterSeconds = 3600;

/** What the client is told of it. */
export function unavailable(failure: AccountingFailure): ServiceError {
  const asked = Math.ceil((failure.retryAfter ?? 0) / 1000);
  return new ServiceError('ACCOUNTING_UNAVAILABLE', {
    detail: 'Credit cannot be asked for at the moment.',
    retryAfter: Math.min(longestRetryAfterSeconds, Math.max(retryAfterSeconds, asked)),
    cause: failure,
  });
}
