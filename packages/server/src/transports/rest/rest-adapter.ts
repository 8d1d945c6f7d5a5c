import type { IncomingMessage, ServerResponse } from 'node:http';
import { callTRPCProcedure, type AnyTRPCRouter } from '@trpc/server';
import type { Authenticate } from '../../clients/auth/principal.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import { ServiceError } from '../../platform/service-error.ts';
import type { Authentication, RequestContext } from '../../trpc/context.ts';
import { currentCall } from '../../trpc/current-call.ts';
import { emptyStream } from '../../trpc/empty-stream.ts';
import { toServiceError } from '../../trpc/error-mapping.ts';
import { hasProtoKey } from '../../trpc/forbidden-keys.ts';
import { isAsyncIterable } from '../../trpc/pacing.ts';
import { readText } from '../body.ts';
import { countCalls, rateLimited, rateLimitHeaders, type CallLimits } from '../call-limits.ts';
import { bearerToken, challenge, endOfToken, judgeToken } from '../credentials.ts';
import { problemResponse } from '../problem.ts';
import { createRefuseCounted } from '../refuse-counted.ts';
import { logCause, type RequestRecord } from '../request-log.ts';
import { guardStream } from '../stream-guard.ts';
import { chooseRoute, isResuming } from './choose-route.ts';
import { isJsonType } from './media-types.ts';
import { nameHeaders, readInput } from './read-input.ts';
import { createRouteTable, type RestRoute, type RouteMatch, type RouteTable } from './route-table.ts';
import { eventStreamBody, eventStreamHeaders, eventStreamPrefix } from './sse-writer.ts';

export interface RestAdapterOptions {
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

export interface RestRequest {
  readonly request: Request;
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly record: RequestRecord;
  readonly clientAddress: string;
}

export interface RestAdapter {
  readonly table: RouteTable;
  /** Null for a path that no procedure declares. */
  answer(request: RestRequest): Promise<Response> | null;
}

interface ServedRequest extends RestRequest {
  readonly query: URLSearchParams;
  /** Of the answer, whatever it will be. */
  readonly limitHeaders: Record<string, string>;
  /** Aborts when the client leaves. */
  readonly leaving: AbortSignal;
}

/** Why a call is aborted. Nobody is left to be told, and nothing has failed. */
const clientLeft = new Error('The client has left.');

/**
 * The REST door: the same procedures under paths, with their own validation, authorisation, limits and errors. What a
 * procedure declares is all that is known here about it.
 */
export function createRestAdapter(options: RestAdapterOptions): RestAdapter {
  const { router, authenticate, limits, logger, clock, maxBodyBytes } = options;
  const table = createRouteTable(router);
  const refuseCounted = createRefuseCounted(options);

  async function serve(rest: ServedRequest, match: RouteMatch): Promise<Response> {
    const { request, incoming, record, query } = rest;
    const authentication = await judgeToken(authenticate, tokenOf(request));
    if (authentication.status === 'verified') record.userId = authentication.principal.userId;
    const [{ declaration } = { declaration: null }] = match.routes;
    if (declaration !== null) record.route = declaration.path;
    const asked = { headers: request.headers, query };
    const route = chooseRoute(match.routes, asked);
    // Before anything else is judged or read: a stranger's body is not worth its bytes.
    if (!match.routes.some(({ isPublic }) => isPublic)) {
      await admit(rest, authentication, route?.type === 'subscription' && isResuming(asked));
      if (authentication.status === 'refused') throw authentication.error;
    }
    if (route === null) throw new ServiceError('NOT_ACCEPTABLE', { detail: 'No accepted media type can be sent.' });
    const text = request.method === 'POST' || request.method === 'PATCH' ? await readText(incoming, maxBodyBytes) : '';
    const input = readInput(route, {
      parameters: match.parameters,
      query,
      headers: request.headers,
      body: text === '' ? undefined : parseBody(request, text),
    });
    return call(rest, route, authentication, input);
  }

  async function admit(rest: ServedRequest, authentication: Authentication, resumes: boolean): Promise<void> {
    const counted =
      resumes && authentication.status === 'verified'
        ? await limits.waitForResumption(authentication.principal.userId, rest.leaving)
        : await countCalls(limits, { authentication, clientAddress: rest.clientAddress }, 1);
    Object.assign(rest.limitHeaders, rateLimitHeaders(counted));
    if (counted?.allowed === 0) throw rateLimited(counted);
  }

  async function call(
    rest: ServedRequest,
    route: RestRoute,
    authentication: Authentication,
    input: Record<string, unknown>,
  ): Promise<Response> {
    const { request, record, clientAddress, leaving } = rest;
    const headers = { ...rest.limitHeaders };
    const responseHeaders = { set: (name: string, value: string) => void (headers[name] = value) };
    const context: RequestContext = { requestId: record.requestId, authentication, clientAddress, responseHeaders };
    const result: unknown = await currentCall.run(record, () =>
      callTRPCProcedure({
        router,
        path: route.procedure,
        type: route.type,
        ctx: context,
        getRawInput: () => Promise.resolve(input),
        signal: leaving,
        batchIndex: 0,
      }).catch((error: unknown) => {
        throw nameHeaders(toServiceError(error), request.headers);
      }),
    );
    if (isAsyncIterable(result) && result !== emptyStream) {
      Object.assign(headers, eventStreamHeaders);
      // The events that nobody is to read are not begun.
      const body = request.method === 'HEAD' ? null : streamed(rest, result, authentication);
      return new Response(body, { headers });
    }
    const { status = 200, location } = route.declaration;
    headers['Cache-Control'] = 'no-store';
    if (result === emptyStream) return new Response(null, { status: 204, headers });
    if (location !== undefined) headers['Location'] = fillPath(location, result);
    if (status === 204) return new Response(null, { status, headers });
    headers['Content-Type'] = 'application/json';
    return new Response(request.method === 'HEAD' ? null : JSON.stringify(result), { status, headers });
  }

  function streamed(
    { incoming, outgoing, record, leaving }: ServedRequest,
    source: AsyncIterable<unknown>,
    authentication: Authentication,
  ): ReadableStream<Uint8Array> {
    const onFailure = (cause: unknown) => {
      if (!leaving.aborted) logCause(logger, toServiceError(cause), record.requestId, record.route);
    };
    return guardStream(eventStreamBody(source, { clock, onFailure }), {
      clock,
      signal: options.closing,
      stallMs: options.streamStallMs,
      endsAt: endOfToken(authentication),
      prefix: eventStreamPrefix,
      cut: () => {
        if (outgoing.writableFinished || outgoing.destroyed) return;
        options.onCut();
        incoming.socket.destroy();
      },
    });
  }

  function refuse(thrown: unknown, { request, record, incoming, limitHeaders }: ServedRequest): Response {
    const error = toServiceError(thrown);
    if (error.cause === clientLeft) return new Response(null, { status: 499 });
    record.code = error.code;
    logCause(logger, error, record.requestId, record.route);
    const headers: Record<string, string> = { ...limitHeaders };
    if (error.code === 'UNAUTHORIZED') headers['WWW-Authenticate'] = challenge(tokenOf(request) !== null);
    // What has not been read of the body would be taken for the next request.
    if (!incoming.readableEnded && request.body !== null) headers['Connection'] = 'close';
    return problemResponse(error, record.requestId, headers);
  }

  return {
    table,
    answer(rest) {
      const { request } = rest;
      const { pathname, searchParams } = new URL(request.url);
      const { match, methods } = table.match(request.method, pathname);
      if (methods.length === 0) return null;
      if (match === null) {
        const headers = { Allow: [...methods, 'OPTIONS'].join(', ') };
        if (request.method === 'OPTIONS') return Promise.resolve(new Response(null, { status: 204, headers }));
        return refuseCounted(rest, new ServiceError('METHOD_NOT_SUPPORTED'), headers);
      }
      const leaving = leavingOf(rest.outgoing);
      const served: ServedRequest = { ...rest, query: searchParams, limitHeaders: {}, leaving };
      return serve(served, match).catch((error: unknown) => refuse(error, served));
    },
  };
}

function tokenOf({ headers }: Request): string | null {
  return bearerToken(headers.get('authorization') ?? undefined);
}

function leavingOf(outgoing: ServerResponse): AbortSignal {
  const leaving = new AbortController();
  const leave = () => leaving.abort(clientLeft);
  if (outgoing.destroyed) leave();
  outgoing.once('close', leave);
  return leaving.signal;
}

function parseBody({ headers }: Request, text: string): unknown {
  if (!isJsonType(headers.get('content-type')) || (headers.get('content-encoding') ?? 'identity') !== 'identity') {
    throw new ServiceError('UNSUPPORTED_MEDIA_TYPE', { detail: 'The body has to be plain application/json.' });
  }
  const body = readJson(text);
  if (hasProtoKey(body)) throw new ServiceError('BAD_REQUEST', { detail: 'No member may be called __proto__.' });
  return body;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ServiceError('BAD_REQUEST', { detail: 'The body is not JSON.' });
  }
}

function fillPath(template: string, output: unknown): string {
  return template.replaceAll(/\{(\w+)\}/gu, (_, name: string) => {
    const value: unknown = typeof output === 'object' && output !== null ? Reflect.get(output, name) : undefined;
    return encodeURIComponent(String(value));
  });
}
