import type { ErrorCode, FieldError } from '@chat-service/shared/errors';
import type { Message } from '@chat-service/shared/objects';

/** Codes of what goes wrong on this side of the wire; the server never sends them. */
export type ClientErrorCode =
  | 'CONNECTION_FAILED'
  | 'TIMEOUT'
  | 'DISCONNECTED'
  | 'NOTHING_TO_FOLLOW'
  | 'TOKEN_UNAVAILABLE';

/** Every code known when this version was made. A newer server may send others: keep a default branch. */
export type ChatErrorCode = ErrorCode | ClientErrorCode;

/** What an error is made of; what is left out is null, or empty. */
export interface ChatErrorOptions {
  code: string;
  /** HTTP status that goes with the code; null where no server answered. */
  status?: number | null;
  requestId?: string | null;
  retryAfter?: number | null;
  errors?: readonly FieldError[];
  sessionId?: string | null;
  streamId?: string | null;
  userMessageId?: string | null;
  quota?: string | null;
  resetsAt?: string | null;
  cause?: unknown;
}

/**
 * Base of every error that the client throws. Switch on `code`, or on the subclass; codes that this version does not know
 * arrive as a plain `ChatError`.
 */
export class ChatError extends Error {
  override name = 'ChatError';
  readonly code: ChatErrorCode | (string & {});
  /** HTTP status that goes with `code`; null where no server answered. */
  readonly status: number | null;
  /** Names the request in the server's log; give it to the operator. Null where no server answered. */
  readonly requestId: string | null;
  /** Seconds after which a repeat may succeed; null where the server named none. */
  readonly retryAfter: number | null;
  /** The fields that failed validation, with `BAD_REQUEST`; empty otherwise. */
  readonly errors: readonly FieldError[];
  readonly sessionId: string | null;
  /** The generation concerned, for example the running one with `GENERATION_IN_PROGRESS`. */
  readonly streamId: string | null;
  readonly userMessageId: string | null;
  /** With `QUOTA_EXCEEDED`: which quota, and when it starts anew (ISO 8601). */
  readonly quota: string | null;
  readonly resetsAt: string | null;

  constructor(message: string, options: ChatErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.status = options.status ?? null;
    this.requestId = options.requestId ?? null;
    this.retryAfter = options.retryAfter ?? null;
    this.errors = options.errors ?? [];
    this.sessionId = options.sessionId ?? null;
    this.streamId = options.streamId ?? null;
    this.userMessageId = options.userMessageId ?? null;
    this.quota = options.quota ?? null;
    this.resetsAt = options.resetsAt ?? null;
  }
}

/** 400: the request is not valid; `errors` lists the fields. */
export class BadRequestError extends ChatError {
  override name = 'BadRequestError';
}

/** 401: no token, or one that does not verify, also after asking the token function again. */
export class UnauthorizedError extends ChatError {
  override name = 'UnauthorizedError';
}

/** 402: no credit for even one token. */
export class InsufficientCreditsError extends ChatError {
  override name = 'InsufficientCreditsError';
}

/** 403: `FORBIDDEN`, `ACCOUNT_ERASED` or `PROCESSING_RESTRICTED`. */
export class ForbiddenError extends ChatError {
  override name = 'ForbiddenError';
}

/** 404: no such thing, or not yours. */
export class NotFoundError extends ChatError {
  override name = 'NotFoundError';
}

/** 409: the session is generating already. `streamId` names that generation: follow it, or stop it. */
export class GenerationInProgressError extends ChatError {
  override name = 'GenerationInProgressError';
}

/** 409: any other state conflict. */
export class ConflictError extends ChatError {
  override name = 'ConflictError';
}

/** 422: the idempotency key was used for another request. */
export class IdempotencyKeyReusedError extends ChatError {
  override name = 'IdempotencyKeyReusedError';
}

/** 429 `RATE_LIMITED`: too many calls, or answers, at once. A repeat may succeed after `retryAfter` seconds. */
export class RateLimitError extends ChatError {
  override name = 'RateLimitError';
}

/**
 * 429 `QUOTA_EXCEEDED`: the plan's `quota` is used up until `resetsAt`. Not a `RateLimitError`: who catches that one means to
 * come back in a moment, and a quota starts anew at midnight.
 */
export class QuotaExceededError extends ChatError {
  override name = 'QuotaExceededError';
}

/** 503: the service, or something that it needs, is away for now. */
export class UnavailableError extends ChatError {
  override name = 'UnavailableError';
}

/** A generation failed: `MODEL_ERROR`, `MODEL_TIMEOUT` or `INTERRUPTED`, with `streamId` and `userMessageId`. */
export class ModelError extends ChatError {
  override name = 'ModelError';
  /** What had been produced, as it is stored; null where the error came without it. */
  readonly partial: Message | null;
  /** Whether a send without `message` may succeed. */
  readonly retryable: boolean;

  constructor(message: string, options: ChatErrorOptions & { partial?: Message | null; retryable?: boolean }) {
    super(message, options);
    this.partial = options.partial ?? null;
    this.retryable = options.retryable ?? true;
  }
}

/** `CONNECTION_FAILED`: the server could not be reached, or what answered was not the service. */
export class ConnectionError extends ChatError {
  override name = 'ConnectionError';

  constructor(message: string, options: Partial<ChatErrorOptions> = {}) {
    super(message, { code: 'CONNECTION_FAILED', ...options });
  }
}

/** `TIMEOUT`: no answer within `timeoutMs`. What was asked for may have happened all the same. */
export class TimeoutError extends ChatError {
  override name = 'TimeoutError';

  constructor(timeoutMs: number) {
    super(`No answer within ${timeoutMs} ms`, { code: 'TIMEOUT' });
  }
}

/** `DISCONNECTED`: the stream was left before its end, so there is no final message. The generation goes on. */
export class DisconnectedError extends ChatError {
  override name = 'DisconnectedError';

  constructor() {
    super('The stream was left before its end; the generation goes on', { code: 'DISCONNECTED' });
  }
}

/** `NOTHING_TO_FOLLOW`: nothing is being generated, or everything had been seen already. */
export class NothingToFollowError extends ChatError {
  override name = 'NothingToFollowError';

  constructor() {
    super('There is nothing (more) to follow', { code: 'NOTHING_TO_FOLLOW' });
  }
}

/** `TOKEN_UNAVAILABLE`: the token function threw; `cause` is what it threw. */
export class TokenError extends ChatError {
  override name = 'TokenError';

  constructor(cause: unknown) {
    super('The token function failed', { code: 'TOKEN_UNAVAILABLE', cause });
  }
}
