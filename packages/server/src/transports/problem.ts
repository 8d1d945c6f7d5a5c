import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { errorTable } from '@chat-service/shared/errors';
import type { ServiceError } from '../platform/service-error.ts';
import { retryAfterOf } from '../trpc/error-mapping.ts';

interface RenderedProblem {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** An error as problem details (RFC 9457), with the headers that its status asks for; `status` where it is not the code's own. */
function renderProblem(
  error: ServiceError,
  requestId: string,
  status: number = errorTable[error.code].status,
): RenderedProblem {
  const { code, detail, errors, facts } = error;
  const { title } = errorTable[code];
  const retryAfter = retryAfterOf(error);
  const body = {
    type: `urn:chat-service:error:${code}`,
    title,
    status,
    detail: detail ?? title,
    code,
    requestId,
    ...(errors !== undefined && { errors }),
    ...(retryAfter !== undefined && { retryAfter }),
    ...facts,
  };
  return {
    status,
    headers: {
      'Content-Type': 'application/problem+json',
      'Cache-Control': 'no-store',
      ...(retryAfter !== undefined && { 'Retry-After': String(retryAfter) }),
    },
    body: JSON.stringify(body),
  };
}

export function problemResponse(
  error: ServiceError,
  requestId: string,
  headers: Record<string, string> = {},
): Response {
  const problem = renderProblem(error, requestId);
  return new Response(problem.body, { status: problem.status, headers: { ...problem.headers, ...headers } });
}

/** Answers on a socket that no HTTP response exists for (an upgrade, an unreadable request), and ends it. */
export function endWithProblem(socket: Duplex, error: ServiceError, requestId: string, status?: number): void {
  if (socket.destroyed || !socket.writable) return void socket.destroy();
  const problem = renderProblem(error, requestId, status);
  const lines = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ''}`,
    ...Object.entries(problem.headers).map(([name, value]) => `${name}: ${value}`),
    `Content-Length: ${Buffer.byteLength(problem.body)}`,
    `X-Request-Id: ${requestId}`,
    'Connection: close',
  ];
  // Half-open, it would wait for a client that may never close, and the server with it.
  socket.end(`${lines.join('\r\n')}\r\n\r\n${problem.body}`, () => socket.destroy());
}
