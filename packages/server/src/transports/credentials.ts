import { clockToleranceSeconds, type Authenticate } from '../clients/auth/principal.ts';
import { ServiceError } from '../platform/service-error.ts';
import type { Authentication } from '../trpc/context.ts';
import { toServiceError } from '../trpc/error-mapping.ts';

const tokenParameters = new Set([
  'token',
  'accesstoken',
  'idtoken',
  'authtoken',
  'bearertoken',
  'jwt',
  'bearer',
  'authorization',
  'auth',
]);

/**
 * Whether a URL carries a token: there it would end up in histories and in the logs of every proxy. The connection
 * parameters that tRPC clients can put into a query count when they name one, or cannot be read.
 */
export function hasTokenInUrl(target: string | undefined): boolean {
  const query = (target ?? '').split('?').slice(1).join('?');
  for (const [name, value] of new URLSearchParams(query)) {
    if (isTokenName(name)) return true;
    if (name === 'connectionParams' && value !== '1' && carriesToken(value)) return true;
  }
  return false;
}

function isTokenName(name: string): boolean {
  return tokenParameters.has(name.toLowerCase().replaceAll(/[-_]/gu, ''));
}

function carriesToken(connectionParams: string): boolean {
  try {
    const parsed: unknown = JSON.parse(connectionParams);
    return typeof parsed === 'object' && parsed !== null && Object.keys(parsed).some(isTokenName);
  } catch {
    return true;
  }
}

export function tokenInUrl(): ServiceError {
  return new ServiceError('BAD_REQUEST', {
    detail:
      'A token does not belong into a URL: send it in the Authorization header, or over WebSocket in connectionParams.',
  });
}

/** The token of an `Authorization` header; null where there is none, also when it is of another scheme. */
export function bearerToken(header: string | undefined): string | null {
  return /^Bearer +(\S+) *$/iu.exec(header ?? '')?.[1] ?? null;
}

export const unauthenticated: Authentication = {
  status: 'refused',
  error: new ServiceError('UNAUTHORIZED', { detail: 'A bearer token is needed.' }),
};

/** Never throws: what is wrong is carried to the procedure. */
export async function judgeToken(authenticate: Authenticate, token: string | null): Promise<Authentication> {
  if (token === null) return unauthenticated;
  try {
    return { status: 'verified', principal: await authenticate(token), token };
  } catch (error) {
    return { status: 'refused', error: toServiceError(error) };
  }
}

/** `WWW-Authenticate` of a 401 (RFC 6750): the error is named only to those who gave a token. */
export function challenge(tokenGiven: boolean): string {
  const realm = 'Bearer realm="chat-service"';
  return tokenGiven ? `${realm}, error="invalid_token", error_description="The token does not verify"` : realm;
}

/** Milliseconds since the epoch at which what runs under this authentication ends; null where nothing was granted. */
export function endOfToken(authentication: Authentication): number | null {
  if (authentication.status === 'refused') return null;
  return (authentication.principal.expiresAt + clockToleranceSeconds) * 1000;
}
