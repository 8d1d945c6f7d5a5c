import type { ObservationEvent, ObserverEvent } from '@chat-service/shared/events';
import type { Session } from '@chat-service/shared/objects';
import type { User } from '@chat-service/shared/supervisor-api';
import type { Clock } from '../../platform/clock.ts';
import { ConnectionSevered } from '../../platform/connection-severed.ts';
import type { FollowSession } from '../generations/follow-session.ts';
import {
  formatArrivalId,
  formatBreakId,
  formatNoticeId,
  isResumable,
  isSamePosition,
  noticeOrdinal,
  parseSessionEventId,
  type Position,
} from '../generations/position.ts';
import type { AttachedObservation, AttachObservation, ObserveRequest } from './attach-observation.ts';
import type { ObservationKeeper, Stay } from './keep-observations.ts';
import { createObserverNotices } from './observer-notices.ts';
import type { ObservedSession } from './observations-store.ts';
import type { ObserverCounts } from './observer-counts.ts';

/** An event with the id under which the observer goes on after it. */
export interface IdentifiedObservationEvent {
  readonly id: string;
  readonly event: ObservationEvent;
}

/**
 * Observes a session: its history, then everything that happens in it, until it is deleted, the observer leaves, or may
 * look no longer. Resolves once the look is written down; every connection is a look of its own.
 * @throws ServiceError `FORBIDDEN`, `NOT_FOUND`, `UNAVAILABLE`, before anything is sent
 */
export type ObserveSession = (
  request: ObserveRequest,
  signal: AbortSignal,
) => Promise<AsyncGenerator<IdentifiedObservationEvent, void, void>>;

export interface ObserveSessionDependencies {
  readonly attach: AttachObservation;
  readonly keeper: ObservationKeeper;
  readonly counts: Pick<ObserverCounts, 'watch' | 'recount'>;
  readonly followSession: FollowSession;
  /** The session as it is now; null for one that is gone. */
  readonly findSession: (sessionId: string) => Promise<ObservedSession | null>;
  readonly show: (observed: ObservedSession, observers: number) => { session: Session; user: User };
  readonly clock: Clock;
}

export function createObserveSession(deps: ObserveSessionDependencies): ObserveSession {
  const { attach, keeper, counts, followSession, findSession, show, clock } = deps;

  async function* tell(
    { sessionId, session, user, observers }: AttachedObservation,
    { lastEventId = null, liveSink: sink = null }: ObserveRequest,
    kept: Stay,
  ): AsyncGenerator<IdentifiedObservationEvent, void, void> {
    using stay = kept;
    const floor = { fence: session.logFence, number: session.logNumber };
    const resumedAfter = lastEventId !== null && parseSessionEventId(sessionId, lastEventId) !== null;
    // Behind what was told last where that goes on, before the history where it does not.
    const arrivalId = resumedAfter ? nextNotice(lastEventId) : formatArrivalId(sessionId, floor, clock.now());
    let toldLast = arrivalId;
    let watching = observers;
    const shown = show({ session, user }, observers);
    yield { id: arrivalId, event: { type: 'observer', status: 'connected', ...shown, observers } };
    const status = shown.session.status === 'idle' ? 'idle' : 'live';
    const notices = createObserverNotices({ counts, sessionId, told: { status, observers } });
    const onSent = (id: string) => void (toldLast = id);
    const liveWay = sink && { sink, onSent };
    const request = { sessionId, lastEventId: resumedAfter ? arrivalId : null, floor, notices, liveWay };
    for await (const told of followSession<ObserverEvent>(request, stay.signal)) {
      if (stay.signal.aborted) break;
      toldLast = told.id;
      yield told;
      const { event } = told;
      if (event.type === 'observer' && event.status !== 'ended') watching = event.observers;
      const change = event.type === 'history-end' ? await changeSince(floor, sessionId, told.id, watching) : null;
      if (stay.signal.aborted) break;
      if (change === null) continue;
      toldLast = change.id;
      yield change;
    }
    const { ended } = stay;
    if (ended === null) return;
    const id = isResumable(toldLast) ? nextNotice(toldLast) : formatBreakId(toldLast);
    yield { id, event: { type: 'observer', status: 'ended', reason: ended } };
    // An end of the stream would be final for the client; the connection, which is about to be closed, can come back.
    if (ended === 'token') await stay.left;
  }

  /** A history tells no change of the session itself: told behind one that is not of the session as it was shown. */
  async function changeSince(
    floor: Position,
    sessionId: string,
    historyEnd: string,
    observers: number,
  ): Promise<IdentifiedObservationEvent | null> {
    const position = parseSessionEventId(sessionId, historyEnd);
    if (position === null || isSamePosition(position, floor)) return null;
    const found = await findSession(sessionId).catch((error: unknown) => {
      throw new ConnectionSevered(error);
    });
    if (found === null) return null;
    const { session } = show(found, observers);
    // Before every notice at this place.
    return { id: formatNoticeId(historyEnd, 0), event: { type: 'session-updated', session } };
  }

  function nextNotice(toldLast: string): string {
    return formatNoticeId(toldLast, Math.max(noticeOrdinal(toldLast) + 1, clock.now()));
  }

  return async function observeSession(request, signal) {
    const observation = await attach(request, keeper.owner);
    const stay = keeper.keep(observation, signal);
    counts.recount(request.sessionId);
    return tell(observation, request, stay);
  };
}
