import type { ObservationEvent, ObserverEvent } from '@chat-service/shared/events';
import type { ObserveInput } from '@chat-service/shared/supervisor-api';
import type { Tracked, Verdict } from './log-source.ts';
import { watchLog, type Watch, type WatchHandlers, type WatchOptions } from './watch-log.ts';

/** Observes a session until it is deleted, or until the observer's role, or a token that cannot be renewed, comes to its end. */
export function watchObservation(
  input: ObserveInput,
  handlers: WatchHandlers<ObservationEvent>,
  options: WatchOptions,
): Watch {
  const { lastEventId: after, ...rest } = input;
  return watchLog<ObservationEvent>(
    {
      follow: (lastEventId) => (listeners) =>
        options.transport.trpc.supervisor.observe.subscribe(
          { ...rest, ...(lastEventId !== undefined && { lastEventId }) },
          listeners,
        ),
      lastEventId: after ?? undefined,
      mayBeEmpty: false,
      isLast: (event) => event.type === 'session-deleted' || (event.type === 'observer' && event.status === 'ended'),
      judge: createJudge(),
      // No session is hidden from a supervisor: one that is not found any more was deleted meanwhile.
      gone: { type: 'session-deleted', sessionId: input.sessionId },
    },
    handlers,
    options,
  );
}

/**
 * Each reconnect begins with `connected`, and one within the history with the same history: both are passed on only where
 * they bring something new.
 */
function createJudge(): (tracked: Tracked<ObservationEvent>, lastEventId: string | undefined) => Verdict {
  /** The history that is being told, by the id of its start. */
  let historyId: string | null = null;
  let standing = '';

  function judgeObserver(event: ObserverEvent): Verdict {
    if (event.status === 'ended') return event.reason === 'token' ? 'token-ended' : 'news';
    const previous = standing;
    standing = JSON.stringify(
      event.status === 'connected' ? [statusOf(event), event.observers] : [event.status, event.observers],
    );
    return standing === previous ? 'back' : 'news';
  }

  return ({ id, event }, lastEventId) => {
    if (event.type === 'observer') return judgeObserver(event);
    if (event.type === 'history-start') {
      if (historyId === id) return 'repeated';
      historyId = id;
      return 'starts-over';
    }
    if (lastEventId !== undefined && id <= lastEventId) return 'repeated';
    if (event.type === 'history-end') historyId = null;
    return 'news';
  };
}

function statusOf({ session }: Extract<ObserverEvent, { status: 'connected' }>): 'live' | 'idle' {
  return session.status === 'idle' ? 'idle' : 'live';
}
