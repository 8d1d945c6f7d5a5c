import type { AppRouter } from '@chat-service/server/app-router';
import { createTRPCClient, httpBatchLink, httpSubscriptionLink, splitLink, type TRPCClient } from '@trpc/client';
import superjson from 'superjson';
import { createCuttableEventSources, type CuttableEventSources } from './cuttable-event-source.ts';

/** The stock client without WebSockets: subscriptions come as server-sent events. */
export interface SseClient extends Omit<CuttableEventSources, 'EventSource'> {
  readonly trpc: TRPCClient<AppRouter>;
}

export function openSseClient(url: string, token: () => Promise<string>): SseClient {
  const { EventSource, ...recorded } = createCuttableEventSources();
  const options = {
    url: `${url}/trpc`,
    transformer: superjson,
    headers: async () => ({ authorization: `Bearer ${await token()}` }),
  };
  const trpc = createTRPCClient<AppRouter>({
    links: [
      splitLink({
        condition: ({ type }) => type === 'subscription',
        true: httpSubscriptionLink({ ...options, EventSource, eventSourceOptions: options }),
        false: httpBatchLink(options),
      }),
    ],
  });
  return { ...recorded, trpc };
}
