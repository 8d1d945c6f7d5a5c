import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { createWSClient, createTRPCClient, wsLink, httpBatchStreamLink, splitLink } from '@trpc/client';
import { tracked } from '@trpc/server';
import superjson from 'superjson';
import { z } from 'zod';
import type { Principal } from '../../src/clients/auth/principal.ts';
import { createLogger } from '../../src/platform/logger.ts';
import type { LiveSink } from '../../src/platform/live-sink.ts';
import { ConnectionSevered } from '../../src/platform/connection-severed.ts';
import { ServiceError } from '../../src/platform/service-error.ts';
import { publicProcedure, userProcedure } from '../../src/trpc/procedures.ts';
import { trpc } from '../../src/trpc/trpc.ts';
import { createCallLimiter } from '../../src/features/limits/call-limiter.ts';
import { createHttpServer, type HttpServerOptions } from '../../src/transports/http-server.ts';
import { createManualClock } from '../platform/manual-clock.ts';

export interface ToyEvent {
  n: number;
  pad: string;
}

/** An append-only log with readers that have a cursor, as the product's streams are. */
export function toyLog() {
  const events: ToyEvent[] = [];
  let wake = Promise.withResolvers<void>();
  const ring = () => {
    wake.resolve();
    wake = Promise.withResolvers<void>();
  };
  const log = {
    /** How many events readers have taken out, all together. */
    taken: 0,
    readers: 0,
    ended: false,
    /** The short way to whoever asked for it last. */
    shortcut: null as LiveSink | null,
    publish(count: number, size = 0) {
      for (let i = 0; i < count; i += 1) events.push({ n: events.length + 1, pad: 'x'.repeat(size) });
      ring();
    },
    end() {
      log.ended = true;
      ring();
    },
    async *read(after: number, signal: AbortSignal | undefined) {
      const aborted = new Promise<void>((resolve) =>
        signal?.addEventListener('abort', () => resolve(), { once: true }),
      );
      log.readers += 1;
      try {
        for (let position = after; signal?.aborted !== true;) {
          const woken = wake.promise;
          const event = events[position];
          if (event !== undefined) {
            position += 1;
            log.taken += 1;
            yield tracked(String(event.n).padStart(8, '0'), event);
          } else if (log.ended) return;
          else await Promise.race([woken, aborted]);
        }
      } finally {
        log.readers -= 1;
      }
    },
  };
  return log;
}

function toyRouter(log: ReturnType<typeof toyLog>, gates: Map<string, PromiseWithResolvers<void>>, seen: unknown[]) {
  return trpc.router({
    open: publicProcedure.query(() => 'open'),
    echo: userProcedure.input(z.strictObject({ text: z.string(), maybe: z.string().optional() })).query(({ input }) => {
      seen.push(input);
      return { text: input.text };
    }),
    whoami: userProcedure.query(({ ctx }) => ({ userId: ctx.principal.userId, requestId: ctx.requestId })),
    write: userProcedure.input(z.object({ text: z.string() })).mutation(({ input }) => ({ length: input.text.length })),
    plain: userProcedure.mutation(() => 'done'),
    fail: userProcedure.input(z.object({ how: z.string() })).mutation(({ input }) => {
      if (input.how === 'limited') throw new ServiceError('RATE_LIMITED', { retryAfter: 7 });
      if (input.how === 'down') throw new ServiceError('UNAVAILABLE', { cause: new Error('secret: pg down') });
      if (input.how === 'busy') throw new ServiceError('GENERATION_IN_PROGRESS', { streamId: 'stream-1' });
      throw new TypeError('secret: x is undefined');
    }),
    hold: userProcedure.input(z.object({ gate: z.string() })).query(async ({ input }) => {
      const gate = Promise.withResolvers<void>();
      gates.set(input.gate, gate);
      await gate.promise;
      return input.gate;
    }),
    big: userProcedure.input(z.object({ size: z.number() })).query(({ input }) => 'y'.repeat(input.size)),
    follow: userProcedure
      .meta({
        summary: 'Follows.',
        rest: { method: 'GET', path: '/api/follow', operationId: 'follow', tag: 'System' },
      })
      .input(z.object({ lastEventId: z.string().optional() }).optional())
      .subscription(({ input, signal }) => log.read(Number(input?.lastEventId ?? 0), signal)),
    shortcut: userProcedure.subscription(async function* ({ ctx, signal }) {
      log.shortcut = ctx.liveSink ?? null;
      yield tracked('1', 1);
      await new Promise((resolve) => signal?.addEventListener('abort', resolve, { once: true }));
    }),
    starts: userProcedure
      .meta({
        summary: 'Starts something.',
        rest: { method: 'POST', path: '/api/starts', operationId: 'starts', tag: 'System' },
      })
      .input(z.object({ text: z.string() }))
      .subscription(async function* ({ input }) {
        seen.push(input);
        yield tracked('1', input.text);
      }),
    brokenAtOnce: userProcedure.subscription((): AsyncIterable<number> => {
      throw new Error('secret: broke');
    }),
    severed: userProcedure.subscription(async function* () {
      yield tracked('1', 1);
      throw new ConnectionSevered(new Error('secret: cannot be stored'));
    }),
    abortive: userProcedure.subscription(async function* ({ signal }) {
      yield tracked('1', 1);
      await new Promise((_, reject) => {
        signal?.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
      });
    }),
    broken: userProcedure.subscription(async function* () {
      yield tracked('1', 1);
      throw new Error('secret: broke');
    }),
  });
}

export type ToyRouter = ReturnType<typeof toyRouter>;
export type LogLine = Record<string, unknown> & { msg: string; level: string };

/** Tokens read `user.expiry-in-seconds`; anything else does not verify. `down` cannot be judged. */
export function tokenFor(userId: string, expiresAt: number): string {
  return `${userId}.${expiresAt}`;
}

export async function createWorld(options: Partial<HttpServerOptions> = {}, { limitPerMinute = 1_000_000 } = {}) {
  const clock = createManualClock();
  const lines: LogLine[] = [];
  const log = toyLog();
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const seen: unknown[] = [];
  const keys = { available: true };
  const router = toyRouter(log, gates, seen);
  const server = createHttpServer({
    router,
    async authenticate(token): Promise<Principal> {
      if (!keys.available) throw new ServiceError('AUTH_UNAVAILABLE');
      const [, userId, expiry] = /^([a-z]+)\.(\d+)$/u.exec(token) ?? [];
      if (userId === undefined || (Number(expiry) + 30) * 1000 <= clock.now()) {
        throw new ServiceError('UNAUTHORIZED', { detail: 'The token does not verify.' });
      }
      const expiresAt = Number(expiry);
      return { userId, username: null, email: null, role: 'enduser', plan: 'free', issuedAt: null, expiresAt };
    },
    logger: createLogger({
      level: 'debug',
      destination: { write: (line: string) => void lines.push(JSON.parse(line) as LogLine) },
    }),
    limits: createCallLimiter({ limitPerMinute, clock }),
    clock,
    payloads: 'redacted',
    health: async () => ({ status: 'ok', version: '1', timestamp: new Date(clock.now()).toISOString(), checks: {} }),
    version: '1',
    host: '127.0.0.1',
    port: 0,
    maxBodyBytes: 64 * 1024,
    corsOrigins: ['https://app.example'],
    loopbackOrigins: false,
    webSocketAuthMs: 5000,
    streamStallMs: 10_000,
    ...options,
  });
  const { url } = await server.listen();
  const nowSeconds = () => Math.floor(clock.now() / 1000);
  const token = tokenFor('ada', nowSeconds() + 3600);
  return {
    clock,
    lines,
    log,
    gates,
    seen,
    keys,
    server,
    url,
    wsUrl: `${url.replace('http', 'ws')}/trpc`,
    token,
    nowSeconds,
    /** The request lines so far. */
    requests: () => lines.filter((line) => line.msg === 'request'),
    fetch: (
      path: string,
      { headers = {}, ...init }: Omit<RequestInit, 'headers'> & { headers?: Record<string, string> } = {},
    ) => fetch(`${url}${path}`, { ...init, headers: { authorization: `Bearer ${token}`, ...headers } }),
    post: (path: string, body: unknown, headers: Record<string, string> = {}) =>
      fetch(`${url}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

export type World = Awaited<ReturnType<typeof createWorld>>;

/** The stock client: subscriptions over WebSocket, the rest as streamed batches. */
export function stockClient(world: World, giveToken: () => string = () => world.token) {
  const closes: number[] = [];
  const sockets = createWSClient({
    url: world.wsUrl,
    WebSocket: globalThis.WebSocket,
    connectionParams: () => ({ token: giveToken() }),
    retryDelayMs: () => 0,
    onClose: (cause) => void closes.push(cause?.code ?? 0),
  });
  const client = createTRPCClient<ToyRouter>({
    links: [
      splitLink({
        condition: (op) => op.context['http'] !== true,
        true: wsLink({ client: sockets, transformer: superjson }),
        false: httpBatchStreamLink({
          url: `${world.url}/trpc`,
          transformer: superjson,
          headers: () => ({ authorization: `Bearer ${giveToken()}` }),
        }),
      }),
    ],
  });
  return { client, closes, close: () => sockets.close() };
}

/** Writes bytes as they are and gives back everything that is answered until the server closes. */
export function rawHttp(url: string, text: string | Buffer): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let answer = '';
    socket.on('data', (data) => {
      answer += data.toString();
    });
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' ? resolve(answer) : reject(error),
    );
    socket.on('close', () => resolve(answer));
    socket.write(text);
  });
}

/** An HTTP request with headers that `fetch` does not let one set. */
export function http(
  world: World,
  {
    method = 'GET',
    path,
    headers = {},
    body,
  }: { method?: string; path: string; headers?: Record<string, string>; body?: string },
): Promise<{ status: number; headers: IncomingHttpHeaders; text: string }> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(world.url);
    const request = httpRequest({ hostname, port, method, path, headers, agent: false }, (response) => {
      let text = '';
      response.on('data', (data: Buffer) => {
        text += data.toString();
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    request.on('error', reject);
    request.end(body);
  });
}
