import type { ErrorCode, ErrorFacts, FieldError } from '@chat-service/shared/errors';

export interface ServiceErrorOptions extends ErrorFacts {
  /** What the client is told beside the code's title: never a dependency's words. */
  detail?: string;
  errors?: FieldError[];
  /** Seconds. */
  retryAfter?: number;
  /** What really happened, for the log only. */
  cause?: unknown;
}

/** An error with an owner: its code decides what every door answers, its cause goes to the log and nowhere else. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  readonly code: ErrorCode;
  readonly detail: string | undefined;
  readonly errors: FieldError[] | undefined;
  readonly retryAfter: number | undefined;
  readonly facts: ErrorFacts;

  constructor(code: ErrorCode, options: ServiceErrorOptions = {}) {
    const { detail, errors, retryAfter, cause, ...facts } = options;
    super(detail ?? code, cause === undefined ? undefined : { cause });
    this.code = code;
    this.detail = detail;
    this.errors = errors;
    this.retryAfter = retryAfter;
    this.facts = facts;
  }
}
