import type { ObservationEvent } from '@chat-service/shared/events';
import { openTrpcClient, type TrpcConnection } from './trpc-client.ts';
import type { World } from './world.ts';

export interface Told {
  readonly id: string;
  readonly event: ObservationEvent;
}

/** A supervisor who watches a session with the stock client: what was told, as a list that grows. */
export interface Observer {
  readonly told: readonly Told[];
  /** What was told in short: types, and of an `observer` its status. */
  readonly kinds: () => readonly string[];
  /** The texts of all chunks, joined. */
  readonly text: () => string;
  /** Resolves once something of this kind was told so many times. */
  until(kind: string, times?: number): Promise<void>;
  /** Resolves once it holds. */
  untilIt(holds: (told: readonly Told[]) => boolean): Promise<void>;
  /** Resolves when the server has ended the subscription. */
  readonly ended: Promise<void>;
  leave(): void;
}

export function observe(trpc: TrpcConnection['trpc'], sessionId: string, lastEventId?: string): Observer {
  const told: Told[] = [];
  const waiting = new Set<() => void>();
  const ended = Promise.withResolvers<void>();
  ended.promise.catch(() => undefined);
  const subscription = trpc.supervisor.observe.subscribe(
    { sessionId, ...(lastEventId !== undefined && { lastEventId }) },
    {
      onData({ id, data }) {
        told.push({ id, event: data });
        for (const look of waiting) look();
      },
      onError: ended.reject,
      onComplete: ended.resolve,
    },
  );
  const kinds = () => told.map(({ event }) => kindOf(event));
  const untilIt: Observer['untilIt'] = (holds) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => {
      if (holds(told)) resolve();
    };
    waiting.add(look);
    look();
    return promise.finally(() => waiting.delete(look));
  };
  return {
    told,
    kinds,
    text: () => told.map(({ event }) => (event.type === 'chunk' ? event.text : '')).join(''),
    until: (kind, times = 1) => untilIt(() => kinds().filter((one) => one === kind).length >= times),
    untilIt,
    ended: ended.promise,
    leave: () => subscription.unsubscribe(),
  };
}

function kindOf(event: ObservationEvent): string {
  return event.type === 'observer' ? event.status : event.type;
}

/** The stock client of a supervisor; to be disposed. */
export function openSupervisor(world: World, sub = 'sue', url = world.url): TrpcConnection {
  return openTrpcClient(url, () => world.token(sub, { role: 'supervisor' }));
}
