import type { Authenticate } from '../clients/auth/principal.ts';
import type { ServiceError } from '../platform/service-error.ts';
import { countCalls, rateLimited, rateLimitHeaders, type CallLimits } from './call-limits.ts';
import { bearerToken, judgeToken } from './credentials.ts';
import { problemResponse } from './problem.ts';
import type { RequestRecord } from './request-log.ts';

export interface RefuseCountedOptions {
  readonly authenticate: Authenticate;
  readonly limits: CallLimits;
}

interface RefusedRequest {
  readonly request: Pick<Request, 'headers'>;
  readonly record: RequestRecord;
  readonly clientAddress: string;
}

/**
 * Answers a request that asks for no procedure (an unknown path, a method that its path has not) with this error and these
 * headers. It is counted as a call: the user's whose valid token it shows, the address's without one. Where that is too
 * much, the answer says so instead.
 */
export type RefuseCounted = (
  refused: RefusedRequest,
  error: ServiceError,
  headers?: Record<string, string>,
) => Promise<Response>;

export function createRefuseCounted({ authenticate, limits }: RefuseCountedOptions): RefuseCounted {
  return async function refuseCounted({ request, record, clientAddress }, error, headers = {}) {
    const token = bearerToken(request.headers.get('authorization') ?? undefined);
    const authentication = await judgeToken(authenticate, token);
    if (authentication.status === 'verified') record.userId = authentication.principal.userId;
    const counted = await countCalls(limits, { authentication, clientAddress }, 1);
    const limitHeaders = rateLimitHeaders(counted);
    if (counted?.allowed === 0) {
      record.code = 'RATE_LIMITED';
      return problemResponse(rateLimited(counted), record.requestId, limitHeaders);
    }
    record.code = error.code;
    return problemResponse(error, record.requestId, { ...headers, ...limitHeaders });
  };
}
