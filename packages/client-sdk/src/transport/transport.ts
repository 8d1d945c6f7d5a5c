import {
  createTRPCClient,
  createWSClient,
  httpBatchStreamLink,
  splitLink,
  wsLink,
  type TRPCClient,
  type TRPCLink,
} from '@trpc/client';
import { observable } from '@trpc/server/observable';
import superjson from 'superjson';
import type { AppRouter } from '../app-router.generated.ts';
import { refreshToken, refuseForeignAnswers, tokenVersionKey } from './http-links.ts';
import type { RetryDelay } from './back-off.ts';
import type { TokenSource } from './token-source.ts';

export interface TransportOptions {
  /** The service's root, as `https://chat.example.org`. */
  readonly url: string;
  readonly tokens: TokenSource;
  readonly retryDelayMs: RetryDelay;
  readonly fetch?: typeof fetch;
  readonly WebSocket?: typeof WebSocket;
}

export interface Transport {
  readonly trpc: TRPCClient<AppRouter>;
  readonly tokens: TokenSource;
  /** Attempts to reconnect since the last `progress`. */
  readonly failures: () => number;
  /** Calls the listener before each attempt to reconnect. Returns what ends that. */
  onReconnect(listener: () => void): () => void;
  readonly closed: () => boolean;
  /** Says that the server has sent something of worth: the next reconnect starts with the shortest delay again. */
  progress(): void;
  /** Replaces the socket by one that speaks for a new token. */
  renewSocket(): Promise<void>;
  close(): Promise<void>;
}

/** The server refuses larger batches. */
const maxBatchItems = 20;
/** Queries of one batch share a URL, and servers and proxies bound its length. */
const maxUrlLength = 6_000;
/** An idle socket is closed, so that a program can end. Below the ping interval, or the pings would keep it open. */
const idleCloseMs = 10_000;
const keepAlive = { enabled: true, intervalMs: 15_000, pongTimeoutMs: 10_000 };
/** The server closes with this code when the token of the connection expires. */
const tokenExpired = 4401;
const socketCloseTimeoutMs = 1_000;

export function createTransport(options: TransportOptions): Transport {
  const { tokens, retryDelayMs } = options;
  const root = options.url.replace(/\/+$/u, '');
  let failures = 0;
  let closed = false;
  let subscriptions = 0;
  let socketTokenVersion = 0;
  const reconnectListeners = new Set<() => void>();

  const socket = createWSClient({
    url: `${root.replace(/^http/u, 'ws')}/trpc`,
    lazy: { enabled: true, closeMs: idleCloseMs },
    keepAlive,
    connectionParams: async () => {
      const token = await tokens.get();
      socketTokenVersion = token.version;
      return { token: token.value };
    },
    // The one place that tRPC passes once an attempt; its state tells some losses twice, and its index starts anew when a
    // server accepts a socket only to drop it.
    retryDelayMs: () => {
      failures += 1;
      for (const listener of reconnectListeners) listener();
      return retryDelayMs(failures - 1);
    },
    onClose: (cause) => {
      if (cause?.code === tokenExpired) tokens.refuse(socketTokenVersion);
    },
    ...(options.WebSocket !== undefined && { WebSocket: options.WebSocket }),
  });

  /** Ends the reconnecting that nobody waits for any more: tRPC would go on for ever. */
  function stopIdleReconnects(): void {
    if (subscriptions === 0 && socket.connection?.state !== 'open') socket.close().catch(() => {});
  }

  const countSubscriptions: TRPCLink<AppRouter> =
    () =>
    ({ op, next }) =>
      observable((observer) => {
        subscriptions += 1;
        const subscription = next(op).subscribe(observer);
        return () => {
          subscription.unsubscribe();
          subscriptions -= 1;
          queueMicrotask(stopIdleReconnects);
        };
      });

  const trpc = createTRPCClient<AppRouter>({
    links: [
      splitLink({
        condition: (op) => op.type === 'subscription',
        true: [countSubscriptions, wsLink<AppRouter>({ client: socket, transformer: superjson })],
        false: [
          refreshToken(tokens),
          httpBatchStreamLink<AppRouter>({
            url: `${root}/trpc`,
            transformer: superjson,
            maxItems: maxBatchItems,
            maxURLLength: maxUrlLength,
            fetch: refuseForeignAnswers(options.fetch ?? ((...args) => fetch(...args))),
            headers: async ({ opList }) => {
              const token = await tokens.get();
              for (const op of opList) op.context[tokenVersionKey] = token.version;
              return { authorization: `Bearer ${token.value}` };
            },
          }),
        ],
      }),
    ],
  });

  return {
    trpc,
    tokens,
    failures: () => failures,
    onReconnect(listener) {
      reconnectListeners.add(listener);
      return () => reconnectListeners.delete(listener);
    },
    closed: () => closed,
    progress: () => {
      failures = 0;
    },
    async renewSocket() {
      tokens.refuse(socketTokenVersion);
      const ws = socket.connection?.ws;
      if (!ws || ws.readyState >= ws.CLOSING) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, socketCloseTimeoutMs);
        ws.addEventListener('close', () => {
          clearTimeout(timer);
          resolve();
        });
        ws.close();
      });
    },
    async close() {
      closed = true;
      await socket.close();
    },
  };
}
