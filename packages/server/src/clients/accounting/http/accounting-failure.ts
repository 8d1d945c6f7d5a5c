export interface AccountingFailureOptions {
  /** The status of the answer; null where there was none. */
  readonly status?: number | null;
  /** Milliseconds that the service asked to wait before a repeat. */
  readonly retryAfter?: number | undefined;
}

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
}
