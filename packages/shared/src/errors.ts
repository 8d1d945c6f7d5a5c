import type { z } from 'zod';

interface ErrorRow {
  readonly status: number;
  readonly trpc: string;
  readonly title: string;
  /** Whether the same request may succeed later without being changed. */
  readonly retryable: boolean;
}

/**
 * Every error code of the service with its HTTP status, its tRPC code and its title: the one table from which
 * all doors answer. Codes are added here and nowhere else.
 */
export const errorTable = {
  BAD_REQUEST: { status: 400, trpc: 'BAD_REQUEST', title: 'Bad request', retryable: false },
  UNAUTHORIZED: { status: 401, trpc: 'UNAUTHORIZED', title: 'Unauthorized', retryable: false },
  INSUFFICIENT_CREDITS: { status: 402, trpc: 'PAYMENT_REQUIRED', title: 'Insufficient credits', retryable: false },
  FORBIDDEN: { status: 403, trpc: 'FORBIDDEN', title: 'Forbidden', retryable: false },
  ACCOUNT_ERASED: { status: 403, trpc: 'FORBIDDEN', title: 'Account erased', retryable: false },
  PROCESSING_RESTRICTED: { status: 403, trpc: 'FORBIDDEN', title: 'Processing restricted', retryable: false },
  NOT_FOUND: { status: 404, trpc: 'NOT_FOUND', title: 'Not found', retryable: false },
  METHOD_NOT_SUPPORTED: { status: 405, trpc: 'METHOD_NOT_SUPPORTED', title: 'Method not supported', retryable: false },
  NOT_ACCEPTABLE: { status: 406, trpc: 'BAD_REQUEST', title: 'Not acceptable', retryable: false },
  GENERATION_IN_PROGRESS: { status: 409, trpc: 'CONFLICT', title: 'Generation in progress', retryable: true },
  CONFLICT: { status: 409, trpc: 'CONFLICT', title: 'Conflict', retryable: false },
  PAYLOAD_TOO_LARGE: { status: 413, trpc: 'PAYLOAD_TOO_LARGE', title: 'Payload too large', retryable: false },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    trpc: 'UNSUPPORTED_MEDIA_TYPE',
    title: 'Unsupported media type',
    retryable: false,
  },
  IDEMPOTENCY_KEY_REUSED: {
    status: 422,
    trpc: 'UNPROCESSABLE_CONTENT',
    title: 'Idempotency key reused',
    retryable: false,
  },
  RATE_LIMITED: { status: 429, trpc: 'TOO_MANY_REQUESTS', title: 'Rate limited', retryable: true },
  QUOTA_EXCEEDED: { status: 429, trpc: 'TOO_MANY_REQUESTS', title: 'Quota exceeded', retryable: true },
  INTERNAL: { status: 500, trpc: 'INTERNAL_SERVER_ERROR', title: 'Internal error', retryable: false },
  MODEL_ERROR: { status: 502, trpc: 'BAD_GATEWAY', title: 'Model error', retryable: true },
  INTERRUPTED: { status: 502, trpc: 'BAD_GATEWAY', title: 'Interrupted', retryable: true },
  MODEL_UNAVAILABLE: { status: 503, trpc: 'SERVICE_UNAVAILABLE', title: 'Model unavailable', retryable: true },
  ACCOUNTING_UNAVAILABLE: {
    status: 503,
    trpc: 'SERVICE_UNAVAILABLE',
    title: 'Accounting unavailable',
    retryable: true,
  },
  AUTH_UNAVAILABLE: { status: 503, trpc: 'SERVICE_UNAVAILABLE', title: 'Authentication unavailable', retryable: true },
  UNAVAILABLE: { status: 503, trpc: 'SERVICE_UNAVAILABLE', title: 'Unavailable', retryable: true },
  SHUTTING_DOWN: { status: 503, trpc: 'SERVICE_UNAVAILABLE', title: 'Shutting down', retryable: true },
  MODEL_TIMEOUT: { status: 504, trpc: 'GATEWAY_TIMEOUT', title: 'Model timed out', retryable: true },
} as const satisfies Record<string, ErrorRow>;

/** What went wrong, the same over every door. */
export type ErrorCode = keyof typeof errorTable;

/** Whether it is one of these: a newer server may send others. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(errorTable, code);
}

/** One field that failed validation: `path` in dotted form (`parameters.temperature`), `message` for people. */
export interface FieldError {
  path: string;
  message: string;
}

/** What an error may name beside its code, so that the client can go on from there. */
export interface ErrorFacts {
  sessionId?: string;
  streamId?: string;
  userMessageId?: string;
  /** With `QUOTA_EXCEEDED`: which quota, and when it starts anew (ISO 8601). */
  quota?: string;
  resetsAt?: string;
}

/** What `error.data` of a tRPC error holds; the REST door writes the same members into its problem details. */
export interface WireErrorData extends ErrorFacts {
  code: ErrorCode;
  /** The HTTP status that goes with `code`. */
  httpStatus: number;
  requestId: string;
  /** Dotted procedure path, absent where the request named none. */
  path?: string;
  errors?: FieldError[];
  /** Seconds after which a repeat may succeed. */
  retryAfter?: number;
}

/**
 * JSON-RPC numbers of tRPC's own codes, all of them: with any other type tRPC infers its default error shape instead of
 * `WireError`. Clients read `data.code`.
 */
export type RpcErrorNumber =
  | -32700
  | -32600
  | -32603
  | -32001
  | -32002
  | -32003
  | -32004
  | -32005
  | -32008
  | -32009
  | -32012
  | -32013
  | -32015
  | -32022
  | -32028
  | -32029
  | -32099;

/** The error shape of the tRPC door. */
export interface WireError {
  code: RpcErrorNumber;
  message: string;
  data: WireErrorData;
}

/** Turns zod's issues into the `errors` list of a `BAD_REQUEST`; unknown keys are named one by one. */
export function fieldErrors(error: z.core.$ZodError): FieldError[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path.map(String).join('.');
    // What is wrong with the name of a member is told one level deeper.
    if (issue.code === 'invalid_key') return [{ path, message: issue.issues[0]?.message ?? issue.message }];
    if (issue.code !== 'unrecognized_keys') return [{ path, message: issue.message }];
    return issue.keys.map((key) => ({ path: path === '' ? key : `${path}.${key}`, message: 'unknown field' }));
  });
}
