import type { ObservationEvent } from '@chat-service/shared/events';
import type { RawSocket } from './raw-socket.ts';
import { createToldList, type ToldList } from './told-list.ts';

/** A supervisor who watches a session over a WebSocket that does not come back. */
export interface RawObserver extends ToldList {
  /** Whether the server has ended the subscription. */
  readonly isOver: () => boolean;
}

/** Resolves once the first event is there. */
export async function observeRaw(socket: RawSocket, sessionId: string): Promise<RawObserver> {
  const { id, error } = await socket.call('subscription', 'supervisor.observe', { sessionId });
  if (error !== undefined) throw new Error(`refused: ${JSON.stringify(error)}`);
  const { add, ...list } = createToldList();
  let isOver = false;
  let read = 0;
  const take = () => {
    for (; read < socket.replies.length; read += 1) {
      const reply = socket.replies[read];
      if (reply?.id !== id) continue;
      if (reply.error !== undefined || reply.result?.type === 'stopped') isOver = true;
      const tracked = reply.result?.data?.json as { readonly id: string; readonly data: ObservationEvent } | undefined;
      if (tracked !== undefined) add({ id: tracked.id, event: tracked.data });
    }
  };
  take();
  socket.socket.on('message', take);
  return { ...list, isOver: () => isOver };
}
