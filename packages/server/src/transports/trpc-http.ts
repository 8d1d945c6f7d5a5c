import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AnyTRPCRouter } from '@trpc/server';
import { fetchRequestHandler } from '@trpc/server/adapters/fetch';
import { errorTable } from '@chat-service/shared/errors';
import type { Authenticate } from '../clients/auth/principal.ts';
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/logger.ts';
import { ServiceError } from '../platform/service-error.ts';
import type { Authentication, RequestContext } from '../trpc/context.ts';
import { currentCall } from '../trpc/current-call.ts';
import { retryAfterOf, toServiceError, toWireError } from '../trpc/error-mapping.ts';
import { readText } from './body.ts';
import { countCalls, rateLimited, rateLimitHeaders, type CallLimits, type CountedCalls } from './call-limits.ts';
import { bearerToken, challenge, endOfToken, hasTokenInUrl, judgeToken, tokenInUrl } from './credentials.ts';
import { startsByWatching } from './declared-procedures.ts';
import { pathOf, logCause, type RequestRecord } from './request-log.ts';
import { guardStream } from './stream-guard.ts';
import { callsThatCount, isResumption, isToldByTrpc } from './trpc-http-calls.ts';

export const trpcEndpoint = '/trpc';
/** Most calls in a batch, and in a WebSocket frame. */
export const maxBatchSize = 20;

export interface TrpcHttpOptions {
  readonly router: AnyTRPCRouter;
  readonly authenticate: Authenticate;
  readonly limits: CallLimits;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly maxBodyBytes: number;
  readonly streamStallMs: number;
  /** Ends streamed answers when it aborts. */
  readonly closing: AbortSignal;
  /** Counts readers that were cut. */
  readonly onCut: () => void;
}

/** The status of an answer that nobody is there to get. */
const clientClosedRequest = 499;

export interface TrpcHttpRequest {
  readonly request: Request;
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly record: RequestRecord;
  readonly clientAddress: string;
}

interface CallParts {
  readonly tokenGiven: boolean;
  readonly body: string | null;
  readonly severed: AbortController;
  /** What was found when the calls of the request were counted, all at once. */
  readonly counted: CountedCalls | null;
}

/** Serves tRPC over HTTP: single calls, batches, streamed batches, and subscriptions as server-sent events. */
export function createTrpcHttp(options: TrpcHttpOptions): (request: TrpcHttpRequest) => Promise<Response> {
  const { router, authenticate, limits, logger, clock, maxBodyBytes, streamStallMs, closing, onCut } = options;

  function refuse(error: ServiceError, record: RequestRecord, headers: Record<string, string> = {}): Response {
    record.code = error.code;
    logCause(logger, error, record.requestId, record.route);
    const retryAfter = retryAfterOf(error);
    return Response.json(
      { error: { json: toWireError(error, record.requestId) } },
      {
        status: errorTable[error.code].status,
        headers: {
          'Cache-Control': 'no-store',
          ...(retryAfter !== undefined && { 'Retry-After': String(retryAfter) }),
          ...headers,
        },
      },
    );
  }

  async function answer(call: TrpcHttpRequest): Promise<Response> {
    const { request, incoming, outgoing, record, clientAddress } = call;
    if (hasTokenInUrl(incoming.url)) return refuse(tokenInUrl(), record);
    if (request.method !== 'GET' && request.method !== 'POST') {
      return refuse(new ServiceError('METHOD_NOT_SUPPORTED'), record, { Allow: 'GET, POST' });
    }
    const query = new URL(request.url).searchParams;
    const paths = pathsOf(request.url, query);
    record.batchSize = query.get('batch') === '1' ? paths.length : null;

    const token = bearerToken(request.headers.get('authorization') ?? undefined);
    const authentication = await judgeToken(authenticate, token);
    if (authentication.status === 'verified') record.userId = authentication.principal.userId;
    const calls = paths.slice(0, maxBatchSize);
    let counted: CountedCalls | null;
    try {
      counted =
        authentication.status === 'verified' && isResumption(router, calls, { request, query })
          ? await limits.waitForResumption(authentication.principal.userId, request.signal)
          : await countCalls(limits, { authentication, clientAddress }, callsThatCount(router, calls));
    } catch (error) {
      // Who has left while waiting is told nothing more.
      if (request.signal.aborted) return new Response(null, { status: clientClosedRequest });
      throw error;
    }
    const limitHeaders = rateLimitHeaders(counted);
    if (!isToldByTrpc(router, calls, request)) {
      if (counted?.allowed === 0) return refuse(rateLimited(counted), record, limitHeaders);
      if (authentication.status === 'refused') {
        const { error } = authentication;
        const asked = error.code === 'UNAUTHORIZED' ? { 'WWW-Authenticate': challenge(token !== null) } : {};
        return refuse(error, record, { ...limitHeaders, ...asked });
      }
    }

    const refusal = request.method === 'POST' ? wrongMedia(request) : startedByUrl(router, calls);
    if (refusal !== null) return refuse(refusal, record, limitHeaders);
    let body: string | null = null;
    try {
      if (request.method === 'POST') body = await readText(incoming, maxBodyBytes);
    } catch (error) {
      // What has not been read of the body would be taken for the next request.
      return refuse(toServiceError(error), record, { ...limitHeaders, Connection: 'close' });
    }
    const severed = new AbortController();
    const response = await handle(call, authentication, { tokenGiven: token !== null, body, severed, counted });
    // In this order: an answer in one piece that is asked for its body becomes a stream.
    if (!isStreamed(request, response) || response.body === null) return response;
    return guarded(response, response.body, authentication, { incoming, outgoing, severed });
  }

  function handle(
    { request, record, clientAddress }: TrpcHttpRequest,
    authentication: Authentication,
    { tokenGiven, body, severed, counted }: CallParts,
  ): Promise<Response> {
    const { method, headers, signal } = request;
    let begun = 0;
    const responseHeaders = new Headers(rateLimitHeaders(counted));
    const context: RequestContext = {
      requestId: record.requestId,
      authentication,
      clientAddress,
      responseHeaders,
      admitCall() {
        begun += 1;
        if (counted !== null && begun > counted.allowed) throw rateLimited(counted);
      },
      // The answer is pulled by its socket, so there is nothing to wait for.
      outbound: { ready: () => undefined, sever: () => severed.abort() },
    };
    const told = new WeakSet<Error>();
    return currentCall.run(record, () =>
      fetchRequestHandler({
        endpoint: trpcEndpoint,
        // The body has been read; without one the request is taken as it came.
        req: body === null ? request : new Request(request.url, { method, headers, signal, body }),
        router,
        maxBatchSize,
        createContext: () => context,
        onError({ error, path }) {
          if (told.has(error)) return;
          told.add(error);
          const known = toServiceError(error);
          record.code ??= known.code;
          if (signal.aborted && error.cause?.name === 'AbortError') return;
          logCause(logger, known, record.requestId, path ?? record.route);
        },
        responseMeta({ type, errors }) {
          const answered = answerHeaders(responseHeaders, errors.map(toServiceError), tokenGiven);
          // An event stream says by itself what caches may do with it.
          if (type !== 'subscription') answered.set('Cache-Control', 'no-store');
          return { headers: answered };
        },
      }),
    );
  }

  function guarded(
    response: Response,
    body: ReadableStream<Uint8Array>,
    authentication: Authentication,
    { incoming, outgoing, severed }: { incoming: IncomingMessage; outgoing: ServerResponse; severed: AbortController },
  ): Response {
    const isEventStream = isEventStreamResponse(response);
    const stream = guardStream(body, {
      clock,
      signal: AbortSignal.any([closing, severed.signal]),
      stallMs: streamStallMs,
      // Calls under way are answered even after their token has ended; subscriptions are not.
      endsAt: isEventStream ? endOfToken(authentication) : null,
      ...(isEventStream && { prefix: ': stream\nretry: 1000\n\n' }),
      cut: () => {
        if (outgoing.writableFinished || outgoing.destroyed) return;
        onCut();
        incoming.socket.destroy();
      },
    });
    const headers = new Headers(response.headers);
    // tRPC's "keep-alive" would overrule a client that asks for the connection to end with the answer.
    headers.delete('Connection');
    return new Response(stream, { status: response.status, headers });
  }

  return answer;
}

/** Headers of an answer to calls, from the errors among their results. */
function answerHeaders(given: Headers, errors: ServiceError[], tokenGiven: boolean): Headers {
  const headers = new Headers(given);
  const waits = errors.map(retryAfterOf).filter((wait) => wait !== undefined);
  if (waits.length > 0) headers.set('Retry-After', String(Math.max(...waits)));
  if (errors.some((error) => error.code === 'UNAUTHORIZED')) headers.set('WWW-Authenticate', challenge(tokenGiven));
  return headers;
}

/** The procedure paths that a URL names; empty where it cannot be read. */
function pathsOf(url: string, query: URLSearchParams): string[] {
  try {
    const path = decodeURIComponent(pathOf(new URL(url).pathname).slice(trpcEndpoint.length + 1));
    return query.get('batch') === '1' ? path.split(',') : [path];
  } catch {
    return [];
  }
}

/** Refuses a subscription that starts something: by GET its input, what a user writes, would travel in the URL. */
function startedByUrl(router: AnyTRPCRouter, paths: string[]): ServiceError | null {
  if (!paths.some((path) => startsByWatching(router, path))) return null;
  const detail = 'Over HTTP this is started by a call of its own, and followed by another subscription.';
  return new ServiceError('BAD_REQUEST', { detail });
}

function wrongMedia({ headers }: Request): ServiceError | null {
  const type = headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/json') {
    return new ServiceError('UNSUPPORTED_MEDIA_TYPE', { detail: 'The body has to be application/json.' });
  }
  const encoding = headers.get('content-encoding')?.trim().toLowerCase() ?? 'identity';
  if (encoding === 'identity') return null;
  return new ServiceError('UNSUPPORTED_MEDIA_TYPE', { detail: 'A compressed body is not read.' });
}

function isEventStreamResponse(response: Response): boolean {
  return response.headers.get('content-type')?.startsWith('text/event-stream') === true;
}

function isStreamed(request: Request, response: Response): boolean {
  return isEventStreamResponse(response) || (response.ok && request.headers.get('trpc-accept') === 'application/jsonl');
}
