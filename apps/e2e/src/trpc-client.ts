import type { AppRouter } from '@chat-service/server/app-router';
import {
  createTRPCClient,
  createWSClient,
  httpBatchLink,
  splitLink,
  wsLink,
  type TRPCClient,
  type TRPCWebSocketClient,
} from '@trpc/client';
import superjson from 'superjson';
import { WebSocket, type ClientOptions } from 'ws';

/** The stock client with both its links, as somebody without the SDK would set it up. */
export interface TrpcConnection extends AsyncDisposable {
  readonly trpc: TRPCClient<AppRouter>;
  readonly socket: TRPCWebSocketClient;
  /** Every WebSocket that was opened, in order. */
  readonly sockets: readonly WebSocket[];
  /** Cuts the current connection without a closing handshake, as a network that goes away does. */
  cut(): void;
}

export function openTrpcClient(url: string, token: () => Promise<string>, options: ClientOptions = {}): TrpcConnection {
  const sockets: WebSocket[] = [];
  class RecordedWebSocket extends WebSocket {
    constructor(address: string | URL, protocols?: string | string[]) {
      super(address, protocols ?? [], options);
      // A cut while it connects is an error event, which the client follows by its close.
      this.on('error', () => undefined);
      sockets.push(this);
    }
  }
  // The ws package's class does what the client needs of the browser's, under types of its own.
  const constructor: unknown = RecordedWebSocket;
  const socket = createWSClient({
    url: `${url.replace(/^http/u, 'ws')}/trpc`,
    connectionParams: async () => ({ token: await token() }),
    WebSocket: constructor as typeof globalThis.WebSocket,
    retryDelayMs: () => 10,
    lazy: { enabled: true, closeMs: 0 },
  });
  const trpc = createTRPCClient<AppRouter>({
    links: [
      splitLink({
        condition: ({ type }) => type === 'subscription',
        true: wsLink({ client: socket, transformer: superjson }),
        false: httpBatchLink({
          url: `${url}/trpc`,
          transformer: superjson,
          headers: async () => ({ authorization: `Bearer ${await token()}` }),
        }),
      }),
    ],
  });
  return {
    trpc,
    socket,
    sockets,
    cut: () => sockets.at(-1)?.terminate(),
    async [Symbol.asyncDispose]() {
      await socket.close();
      for (const opened of sockets) opened.terminate();
    },
  };
}
