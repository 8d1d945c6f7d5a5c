import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import type { AnyTRPCRouter } from '@trpc/server';
import { Hono, type Context } from 'hono';
import type { HealthOutput } from '@chat-service/shared/system-api';
import type { Authenticate } from '../clients/auth/principal.ts';
import type { Clock } from '../platform/clock.ts';
import { newUuid } from '../platform/ids.ts';
import type { Logger, PayloadMode } from '../platform/logger.ts';
import { ServiceError } from '../platform/service-error.ts';
import { rateLimited, rateLimitHeaders, type CallLimits } from './call-limits.ts';
import { createClientAddress } from './client-address.ts';
import { hasTokenInUrl, tokenInUrl } from './credentials.ts';
import { createHealthHttp } from './health-http.ts';
import { createInFlight } from './in-flight.ts';
import { corsHeaders, createOriginPolicy, preflightHeaders } from './origin-policy.ts';
import { endWithProblem, problemResponse } from './problem.ts';
import { beginHttpRequest, logCause, recordOf, type RequestRecord } from './request-log.ts';
import { createRefuseCounted } from './refuse-counted.ts';
import { createDocumentsHttp, documentPaths } from './rest/documents-http.ts';
import { createRestAdapter } from './rest/rest-adapter.ts';
import { createTrpcHttp, trpcEndpoint } from './trpc-http.ts';
import { createTrpcWs } from './trpc-ws.ts';
import { cutUnread } from './unread-answer.ts';

export interface HttpServerOptions {
  readonly router: AnyTRPCRouter;
  readonly authenticate: Authenticate;
  readonly limits: CallLimits;
  readonly logger: Logger;
  readonly clock: Clock;
  /** What the log holds of inputs. */
  readonly payloads: PayloadMode;
  /** What `system.health` says; `unavailable` turns readiness to 503. */
  readonly health: () => Promise<HealthOutput>;
  readonly version: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Most bytes of a body and of a WebSocket frame. */
  readonly maxBodyBytes: number;
  /** Normalised: scheme and host in lower case, no default port. */
  readonly corsOrigins: readonly string[];
  /** Whether pages of any loopback origin may call. */
  readonly loopbackOrigins: boolean;
  /** A socket that has shown no token within so many milliseconds is closed. */
  readonly webSocketAuthMs: number;
  /** A reader that has taken nothing for so many milliseconds is cut. */
  readonly streamStallMs: number;
  /** Who has taken nothing of any answer for so many real milliseconds is cut. @default a minute, or `streamStallMs` where that is more */
  readonly unreadAnswerMs?: number;
  /** How many proxies of ours requests have come through: so many from the right in `X-Forwarded-For` is the client. @default 0 */
  readonly trustedProxies?: number;
}

export interface TransportStats {
  readonly connections: number;
  /** Calls and requests under way, subscriptions included. */
  readonly inFlight: number;
  /** Bytes held for WebSocket clients that have not taken them yet: all of them, and those of the slowest. */
  readonly bufferedBytes: number;
  readonly largestBufferedBytes: number;
  /** Bytes of WebSocket messages that have been begun and are not whole. */
  readonly begunBytes: number;
  /** Readers cut for not reading, since the start. */
  readonly slowReadersCut: number;
}

/** All doors on one port. Disposing closes at once, without waiting for calls. */
export interface HttpServer extends AsyncDisposable {
  /** @throws when the address is taken or not ours. */
  listen(): Promise<{ readonly url: string }>;
  /** Turns readiness to 503 and asks idle WebSocket clients to go elsewhere; everything goes on being answered. */
  beginDrain(): void;
  /** Begins to drain, waits for what is under way for at most so many milliseconds, then closes everything. Never rejects. */
  drain(options: { milliseconds: number }): Promise<void>;
  stats(): TransportStats;
}

interface RequestBindings {
  readonly Bindings: HttpBindings;
  /** `isCounted`: the request has been counted already, whatever is answered. */
  readonly Variables: { readonly isCounted?: true };
}

/** Proxies keep idle connections for about a minute: one that they reuse must not have been closed just now. */
const keepAliveMs = 75_000;
/** Proxies wait as long, too. What is streamed can be resumed, so that less is enough there. */
const minUnreadAnswerMs = 60_000;

/** One HTTP server with every transport of the service on it. */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { limits, logger, clock, host, port, streamStallMs } = options;
  const { unreadAnswerMs = Math.max(minUnreadAnswerMs, streamStallMs) } = options;
  const inFlight = createInFlight();
  const closing = new AbortController();
  const clientAddress = createClientAddress(options.trustedProxies ?? 0);
  const origins = createOriginPolicy(options);
  let draining = false;
  let slowReadersCut = 0;
  const onCut = () => {
    slowReadersCut += 1;
  };

  const trpcHttp = createTrpcHttp({ ...options, closing: closing.signal, onCut });
  const rest = createRestAdapter({ ...options, closing: closing.signal, onCut });
  const trpcWs = createTrpcWs({ ...options, origins, clientAddress, inFlight, onCut });
  const refuseCounted = createRefuseCounted(options);

  const app = new Hono<RequestBindings>();
  app.use(async (context, next) => {
    const origin = context.req.header('origin');
    if (origin === undefined) return next();
    if (!origins.allows(origin, context.req.header('host'))) {
      const error = new ServiceError('FORBIDDEN', { detail: 'Pages of this origin may not call.' });
      return refuse(context.env.incoming, error, { Vary: 'Origin' });
    }
    if (context.req.method === 'OPTIONS' && context.req.header('access-control-request-method') !== undefined) {
      return new Response(null, {
        status: 204,
        headers: { ...preflightHeaders, ...corsHeaders(origin), Vary: 'Origin' },
      });
    }
    await next();
    const { headers } = context.res;
    for (const [name, value] of Object.entries(corsHeaders(origin))) headers.set(name, value);
    headers.append('Vary', 'Origin');
  });
  app.use(async ({ req, env: { incoming } }, next) => {
    // On its own paths tRPC says so in its own form.
    if (!hasTokenInUrl(incoming.url) || req.path.startsWith(`${trpcEndpoint}/`)) return next();
    return refuse(incoming, tokenInUrl());
  });
  app.all(`${trpcEndpoint}/*`, (context) => trpcHttp(arrived(context)));
  app.route('/api/health', createHealthHttp({ ...options, isDraining: () => draining }));
  app.on('GET', ['/api/openapi.json', '/api/docs/*'], async (context, next) => {
    const { incoming } = context.env;
    const counted = await limits.takeUnauthenticated(clientAddress(incoming), 1);
    context.set('isCounted', true);
    // Documents may be kept by anyone: what one client has left is not told on them.
    if (counted.allowed > 0) return next();
    return refuse(incoming, rateLimited(counted), rateLimitHeaders(counted));
  });
  app.route('/api', createDocumentsHttp({ ...options, routes: rest.table.routes }));
  const healthPath = '/api/health/:probe{live|ready}?';
  app.on('ALL', [healthPath, ...documentPaths.map((path) => `/api${path}`)], (context) => {
    const { method, path } = context.req;
    if (method === 'GET' || method === 'HEAD') return context.notFound();
    const headers = { Allow: 'GET, HEAD, OPTIONS' };
    if (method === 'OPTIONS') return new Response(null, { status: 204, headers });
    const error = new ServiceError('METHOD_NOT_SUPPORTED');
    // Health is outside all limits, also for who asks in a wrong way.
    const isHealth = path.startsWith('/api/health');
    return isHealth ? refuse(context.env.incoming, error, headers) : refuseCounted(arrived(context), error, headers);
  });
  app.all('/api/*', (context) => rest.answer(arrived(context)) ?? context.notFound());
  app.notFound((context) => {
    const error = new ServiceError('NOT_FOUND');
    const isCounted = context.get('isCounted') === true;
    return isCounted ? refuse(context.env.incoming, error) : refuseCounted(arrived(context), error);
  });
  app.onError((error, { env: { incoming } }) => internalError(error, incoming));

  function arrived({ req, env: { incoming, outgoing } }: Context<RequestBindings>) {
    const record = recordOf(incoming);
    return { request: req.raw, incoming, outgoing, record, clientAddress: clientAddress(incoming) };
  }

  function refuse(incoming: IncomingMessage, error: ServiceError, headers: Record<string, string> = {}): Response {
    const record = recordOf(incoming);
    record.code = error.code;
    return problemResponse(error, record.requestId, headers);
  }

  function internalError(cause: unknown, incoming: IncomingMessage): Response {
    const record = recordOf(incoming);
    const error = new ServiceError('INTERNAL', { cause });
    record.code = error.code;
    logCause(logger, error, record.requestId, record.route);
    return problemResponse(error, record.requestId);
  }

  function unreadable(record: RequestRecord, detail: string): Response {
    record.code = 'BAD_REQUEST';
    return problemResponse(new ServiceError('BAD_REQUEST', { detail }), record.requestId);
  }

  function answer(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const record = beginHttpRequest(options, incoming, outgoing);
    outgoing.once('close', inFlight.enter());
    cutUnread(incoming, outgoing, { milliseconds: unreadAnswerMs, onCut });
    const isForNoHost = incoming.headers.host === undefined && incoming.httpVersion !== '1.0';
    const listener = getRequestListener(isForNoHost ? () => unreadable(record, 'There is no Host.') : app.fetch, {
      hostname: 'localhost',
      // Asked only for a request target or a host that is no URL.
      errorHandler(error) {
        if (!(error instanceof Error) || error.name !== 'RequestError') return internalError(error, incoming);
        return unreadable(record, 'The URL cannot be read.');
      },
    });
    void listener(incoming, outgoing);
  }

  const server = createServer(
    {
      keepAliveTimeout: keepAliveMs,
      // Node would refuse without a word why; we say it.
      requireHostHeader: false,
      // Other upgrades (to HTTP/2, say) are offers that may be left: such a request is answered as it is.
      shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === 'websocket',
    },
    answer,
  );
  // An expectation that nobody knows is none (RFC 9110); Node would refuse it without a word why.
  server.on('checkExpectation', answer);
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
    trpcWs.upgrade(request, socket, head),
  );
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
    const requestId = newUuid();
    logger.debug({ requestId, reason: error.code }, 'refused an unreadable request');
    const detail = 'The request is not readable HTTP.';
    endWithProblem(socket, new ServiceError('BAD_REQUEST', { detail }), requestId, unreadableStatus(error.code));
  });

  let closed: Promise<void> | null = null;
  function close(): Promise<void> {
    closed ??= closeAll();
    return closed;
  }

  async function closeAll(): Promise<void> {
    draining = true;
    const stopped = new Promise<void>((resolve) => server.close(() => resolve()));
    closing.abort();
    await trpcWs.close();
    server.closeIdleConnections();
    // One turn for the last bytes of streams that have just ended.
    await new Promise((resolve) => setImmediate(resolve));
    server.closeAllConnections();
    await stopped;
  }

  function beginDrain() {
    if (draining) return;
    draining = true;
    trpcWs.askToReconnect();
  }

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, () => {
          server.off('error', reject);
          const address = server.address();
          const bound = typeof address === 'object' && address !== null ? address.port : port;
          resolve({ url: `http://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${bound}` });
        });
      }),
    beginDrain,
    async drain({ milliseconds }) {
      beginDrain();
      const deadline = new AbortController();
      const cancel = clock.after(milliseconds, () => deadline.abort());
      await inFlight.idle(deadline.signal);
      cancel();
      await close();
    },
    stats() {
      const buffered = [...trpcWs.connections].map((connection) => connection.buffered);
      return {
        connections: buffered.length,
        inFlight: inFlight.size,
        bufferedBytes: buffered.reduce((sum, bytes) => sum + bytes, 0),
        largestBufferedBytes: Math.max(0, ...buffered),
        begunBytes: trpcWs.begunBytes,
        slowReadersCut,
      };
    },
    [Symbol.asyncDispose]: close,
  };
}

/** Statuses that tell more than "bad request" of what Node's parser refused. */
function unreadableStatus(code: string | undefined): number {
  if (code === 'HPE_HEADER_OVERFLOW') return 431;
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
}
