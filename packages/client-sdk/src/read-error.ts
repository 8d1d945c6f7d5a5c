import { errorTable, isErrorCode, type ErrorCode, type WireErrorData } from '@chat-service/shared/errors';
import type { ErrorEvent } from '@chat-service/shared/events';
import { TRPCClientError } from '@trpc/client';
import {
  BadRequestError,
  ChatError,
  ConflictError,
  ConnectionError,
  ForbiddenError,
  GenerationInProgressError,
  IdempotencyKeyReusedError,
  InsufficientCreditsError,
  ModelError,
  NotFoundError,
  QuotaExceededError,
  RateLimitError,
  UnauthorizedError,
  UnavailableError,
  type ChatErrorOptions,
} from './errors.ts';

const classes: Partial<Record<ErrorCode, new (message: string, options: ChatErrorOptions) => ChatError>> = {
  BAD_REQUEST: BadRequestError,
  UNAUTHORIZED: UnauthorizedError,
  INSUFFICIENT_CREDITS: InsufficientCreditsError,
  FORBIDDEN: ForbiddenError,
  ACCOUNT_ERASED: ForbiddenError,
  PROCESSING_RESTRICTED: ForbiddenError,
  NOT_FOUND: NotFoundError,
  GENERATION_IN_PROGRESS: GenerationInProgressError,
  CONFLICT: ConflictError,
  IDEMPOTENCY_KEY_REUSED: IdempotencyKeyReusedError,
  RATE_LIMITED: RateLimitError,
  QUOTA_EXCEEDED: QuotaExceededError,
  MODEL_ERROR: ModelError,
  INTERRUPTED: ModelError,
  MODEL_TIMEOUT: ModelError,
  MODEL_UNAVAILABLE: UnavailableError,
  ACCOUNTING_UNAVAILABLE: UnavailableError,
  AUTH_UNAVAILABLE: UnavailableError,
  UNAVAILABLE: UnavailableError,
  SHUTTING_DOWN: UnavailableError,
};

/**
 * Turns whatever `chat.trpc` rejects with into the `ChatError` that the rest of the client throws. What no server
 * answered is a `ConnectionError`.
 */
export function toChatError(cause: unknown): ChatError {
  const typed = errorInChain(cause);
  if (typed !== null) return typed;
  if (cause instanceof TRPCClientError) {
    const data: unknown = cause.data;
    if (isWireErrorData(data)) return fromWire(cause.message, data, cause);
  }
  const reason = deepestMessage(cause);
  if (reason === notOpened) return new ConnectionError('The connection could not be opened', { cause });
  return new ConnectionError(reason === '' ? 'The connection failed' : `The connection failed: ${reason}`, { cause });
}

/** The error that a terminal `error` event stands for. */
export function fromErrorEvent({ streamId, error, message }: ErrorEvent): ModelError {
  return new ModelError(error.message, {
    code: error.code,
    status: isErrorCode(error.code) ? errorTable[error.code].status : null,
    sessionId: message.sessionId,
    streamId,
    partial: message,
    retryable: error.retryable,
  });
}

function fromWire(message: string, data: WireErrorData, cause: unknown): ChatError {
  const Class = (Object.hasOwn(classes, data.code) ? classes[data.code] : undefined) ?? ChatError;
  return new Class(message, {
    code: data.code,
    status: data.httpStatus,
    requestId: data.requestId ?? null,
    retryAfter: data.retryAfter ?? null,
    errors: data.errors ?? [],
    sessionId: data.sessionId ?? null,
    streamId: data.streamId ?? null,
    userMessageId: data.userMessageId ?? null,
    quota: data.quota ?? null,
    resetsAt: data.resetsAt ?? null,
    cause,
  });
}

function isWireErrorData(data: unknown): data is WireErrorData {
  return (
    typeof data === 'object' &&
    data !== null &&
    'code' in data &&
    typeof data.code === 'string' &&
    'httpStatus' in data &&
    typeof data.httpStatus === 'number'
  );
}

/** tRPC wraps what its hooks throw, the token function's failure among it. */
function errorInChain(cause: unknown): ChatError | null {
  for (const link of causes(cause)) if (link instanceof ChatError) return link;
  return null;
}

/** What tRPC says where a WebSocket could not be opened; the platform tells nobody why. */
const notOpened = 'Initialization error';

/** Node's fetch says only "fetch failed" and hides the reason in the cause. */
function deepestMessage(cause: unknown): string {
  let message = '';
  for (const link of causes(cause)) {
    if (link instanceof Error && link.message !== '') message = link.message;
    if (link instanceof AggregateError && link.errors[0] instanceof Error) message = link.errors[0].message;
  }
  return message;
}

function* causes(start: unknown): Generator<unknown> {
  const maxDepth = 8;
  let link = start;
  for (let depth = 0; depth < maxDepth && link !== undefined && link !== null; depth += 1) {
    yield link;
    link = typeof link === 'object' && 'cause' in link ? link.cause : undefined;
  }
}
