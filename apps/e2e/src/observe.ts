import { createToldList, type ToldList } from './told-list.ts';
import { openTrpcClient, type TrpcConnection } from './trpc-client.ts';
import type { World } from './world.ts';

/** A supervisor who watches a session with the stock client. */
export interface Observer extends ToldList {
  /** Resolves when the server has ended the subscription. */
  readonly ended: Promise<void>;
  leave(): void;
}

export function observe(trpc: TrpcConnection['trpc'], sessionId: string, lastEventId?: string): Observer {
  const { add, ...list } = createToldList();
  const ended = Promise.withResolvers<void>();
  ended.promise.catch(() => undefined);
  const subscription = trpc.supervisor.observe.subscribe(
    { sessionId, ...(lastEventId !== undefined && { lastEventId }) },
    {
      onData: ({ id, data }) => add({ id, event: data }),
      onError: ended.reject,
      onComplete: ended.resolve,
    },
  );
  return { ...list, ended: ended.promise, leave: () => subscription.unsubscribe() };
}

/** The stock client of a supervisor; to be disposed. */
export function openSupervisor(world: World, sub = 'sue', url = world.url): TrpcConnection {
  return openTrpcClient(url, () => world.token(sub, { role: 'supervisor' }));
}
