import type { TRPCError } from '@trpc/server';
import type { TRPCErrorShape } from '@trpc/server/rpc';
import { ZodError } from 'zod';
import { errorTable, fieldErrors, type ErrorCode, type WireError } from '@chat-service/shared/errors';
import { ServiceError } from '../platform/service-error.ts';
import type { RequestContext } from './context.ts';

/** What tRPC itself refuses, in the service's codes; a code that is not listed is a bug and answers `INTERNAL`. */
const ownCodes: Partial<Record<TRPCError['code'], ErrorCode>> = {
  PARSE_ERROR: 'BAD_REQUEST',
  BAD_REQUEST: 'BAD_REQUEST',
  NOT_FOUND: 'NOT_FOUND',
  METHOD_NOT_SUPPORTED: 'METHOD_NOT_SUPPORTED',
  PAYLOAD_TOO_LARGE: 'PAYLOAD_TOO_LARGE',
  UNSUPPORTED_MEDIA_TYPE: 'UNSUPPORTED_MEDIA_TYPE',
};

/** The service's view of anything that a procedure threw: total, so that no foreign error text gets out. */
export function toServiceError(error: TRPCError): ServiceError {
  if (error.cause instanceof ServiceError) return error.cause;
  if (error.code === 'BAD_REQUEST' && error.cause instanceof ZodError) {
    return new ServiceError('BAD_REQUEST', {
      detail: 'The request does not have the form that is asked for.',
      errors: fieldErrors(error.cause),
    });
  }
  return new ServiceError(ownCodes[error.code] ?? 'INTERNAL', { cause: error });
}

export function toWireError({
  error,
  shape,
  path,
  ctx,
}: {
  error: TRPCError;
  shape: TRPCErrorShape;
  path: string | undefined;
  ctx: RequestContext | undefined;
}): WireError {
  const { code, detail, errors, retryAfter, ids } = toServiceError(error);
  const { status, title } = errorTable[code];
  return {
    code: shape.code,
    message: detail ?? title,
    data: {
      code,
      httpStatus: status,
      requestId: ctx?.requestId ?? '',
      ...(path !== undefined && { path }),
      ...(errors !== undefined && { errors }),
      ...(retryAfter !== undefined && { retryAfter }),
      ...ids,
    },
  };
}
