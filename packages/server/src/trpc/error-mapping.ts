import { TRPCError } from '@trpc/server';
import { TRPC_ERROR_CODES_BY_KEY } from '@trpc/server/rpc';
import { ZodError } from 'zod';
import { errorTable, fieldErrors, type ErrorCode, type WireError } from '@chat-service/shared/errors';
import { isDatabaseUnavailable } from '../db/unavailable.ts';
import { ServiceError } from '../platform/service-error.ts';
import type { RequestContext } from './context.ts';
import { currentCall } from './current-call.ts';

/** What tRPC itself refuses, in the service's codes; a code that is not listed is a bug and answers `INTERNAL`. */
const ownCodes: Partial<Record<TRPCError['code'], ErrorCode>> = {
  PARSE_ERROR: 'BAD_REQUEST',
  BAD_REQUEST: 'BAD_REQUEST',
  NOT_FOUND: 'NOT_FOUND',
  METHOD_NOT_SUPPORTED: 'METHOD_NOT_SUPPORTED',
  PAYLOAD_TOO_LARGE: 'PAYLOAD_TOO_LARGE',
  UNSUPPORTED_MEDIA_TYPE: 'UNSUPPORTED_MEDIA_TYPE',
};

/** The service's view of anything that was thrown: total, so that no foreign error text gets out. */
export function toServiceError(error: unknown): ServiceError {
  if (error instanceof ServiceError) return error;
  if (!(error instanceof TRPCError)) return foreignError(error);
  if (error.cause instanceof ServiceError) return error.cause;
  if (error.code === 'BAD_REQUEST' && error.cause instanceof ZodError) {
    return new ServiceError('BAD_REQUEST', {
      detail: 'The request is not valid.',
      errors: fieldErrors(error.cause),
    });
  }
  const code = ownCodes[error.code] ?? 'INTERNAL';
  return code === 'INTERNAL' ? foreignError(error.cause ?? error) : new ServiceError(code);
}

/** What nobody gave a code: the database that is away, or a bug. */
function foreignError(cause: unknown): ServiceError {
  return new ServiceError(isDatabaseUnavailable(cause) ? 'UNAVAILABLE' : 'INTERNAL', { cause });
}

/** Seconds a client is asked to wait where the error itself names none. */
const defaultRetryAfter: Record<number, number> = { 429: 1, 503: 5 };

/** Seconds after which a repeat may succeed; every 429 and 503 has one. */
export function retryAfterOf(error: ServiceError): number | undefined {
  return error.retryAfter ?? defaultRetryAfter[errorTable[error.code].status];
}

/** An error as the tRPC door tells it. */
export function toWireError(error: ServiceError, requestId: string, path?: string): WireError {
  const { code, detail, errors, facts } = error;
  const { status, title, trpc } = errorTable[code];
  const retryAfter = retryAfterOf(error);
  return {
    code: TRPC_ERROR_CODES_BY_KEY[trpc],
    message: detail ?? title,
    data: {
      code,
      httpStatus: status,
      requestId,
      ...(path !== undefined && { path }),
      ...(errors !== undefined && { errors }),
      ...(retryAfter !== undefined && { retryAfter }),
      ...facts,
    },
  };
}

/** tRPC's error formatter. */
export function formatError({
  error,
  path,
  ctx,
}: {
  error: TRPCError;
  path: string | undefined;
  ctx: RequestContext | undefined;
}): WireError {
  return toWireError(toServiceError(error), ctx?.requestId ?? currentCall.getStore()?.requestId ?? '', path);
}
