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
import type { ClientOptions } from 'ws';
import { createRecordedSockets, type RecordedSockets } from './recorded-sockets.ts';

/** The stock client with both its links, as somebody without the SDK would set it up. */
export interface TrpcConnection extends AsyncDisposable, Omit<RecordedSockets, 'WebSocket' | 'terminate'> {
  readonly trpc: TRPCClient<AppRouter>;
  readonly socket: TRPCWebSocketClient;
}

export function openTrpcClient(url: string, token: () => Promise<string>, options: ClientOptions = {}): TrpcConnection {
  const { WebSocket, terminate, ...recorded } = createRecordedSockets(options);
  const socket = createWSClient({
    url: `${url.replace(/^http/u, 'ws')}/trpc`,
    connectionParams: async () => ({ token: await token() }),
    WebSocket,
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
    ...recorded,
    trpc,
    socket,
    async [Symbol.asyncDispose]() {
      await socket.close();
      terminate();
    },
  };
}
