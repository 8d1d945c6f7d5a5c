import type { FollowMessageInput, StreamMessageInput } from '@chat-service/shared/message-api';
import { isTerminalEvent } from '@chat-service/shared/events';
import type { TrackedEvent } from '../generation-state.ts';
import { watchLog, type Watch, type WatchHandlers, type WatchOptions } from './watch-log.ts';

export type WatchTarget =
  | { readonly kind: 'stream'; readonly input: StreamMessageInput }
  | { readonly kind: 'follow'; readonly input: FollowMessageInput };

/**
 * Watches one generation until its terminal event. It starts the generation at most once: until the first event, repeats
 * carry the same idempotency key; after it they only follow, and the text is never sent again.
 */
export function watchGeneration(
  target: WatchTarget,
  handlers: WatchHandlers<TrackedEvent['event']>,
  options: WatchOptions,
): Watch {
  const { message } = options.transport.trpc;
  const { sessionId } = target.input;
  let streamId = target.kind === 'follow' ? target.input.streamId : undefined;
  return watchLog<TrackedEvent['event']>(
    {
      ...(target.kind === 'stream' && { start: (listeners) => message.stream.subscribe(target.input, listeners) }),
      follow: (lastEventId) => (listeners) =>
        message.follow.subscribe(
          {
            sessionId,
            ...(streamId !== undefined && { streamId }),
            ...(lastEventId !== undefined && { lastEventId }),
          },
          listeners,
        ),
      lastEventId: target.input.lastEventId ?? undefined,
      mayBeEmpty: target.kind === 'follow',
      isLast: (event) => event.type !== 'observed' && isTerminalEvent(event),
    },
    {
      ...handlers,
      onEvent(tracked) {
        if ('streamId' in tracked.event) streamId ??= tracked.event.streamId;
        handlers.onEvent(tracked);
      },
    },
    options,
  );
}
