import type { Session } from '@chat-service/shared/objects';
import type { User } from '@chat-service/shared/supervisor-api';
import { expect, it } from 'vitest';
import type { FollowSession } from '../../../src/features/generations/follow-session.ts';
import { formatEventId, formatNoticeId, noticeOrdinal } from '../../../src/features/generations/position.ts';
import type { AttachedObservation } from '../../../src/features/supervision/attach-observation.ts';
import {
  createObserveSession,
  type IdentifiedObservationEvent,
} from '../../../src/features/supervision/observe-session.ts';
import { createManualClock } from '../../platform/manual-clock.ts';

const sessionId = '01890000-0000-7000-8000-000000000001';
const idAt = (number: number) => formatEventId(sessionId, { fence: 1, number });

it('says the end behind what was sent at once, so that whoever comes back is not sent it again', async () => {
  const role = new AbortController();
  const attached = { sessionId, session: { logFence: 1, logNumber: 1 }, user: {}, observers: 1 };
  const followSession: FollowSession = async function* ({ liveWay }) {
    yield { id: idAt(2), event: { type: 'chunk', streamId: 'answer', text: 'told' } };
    liveWay?.sink.write(idAt(5), { type: 'chunk', streamId: 'answer', text: 'sent' });
    role.abort();
    liveWay?.onSent?.(idAt(5));
  };
  const observeSession = createObserveSession({
    attach: async () => attached as AttachedObservation,
    keeper: {
      owner: 'this process',
      keep: () => ({
        signal: role.signal,
        get ended() {
          return role.signal.aborted ? ('role' as const) : null;
        },
        left: Promise.resolve(),
        [Symbol.dispose]: () => undefined,
      }),
      stop: async () => undefined,
    },
    counts: { watch: () => () => undefined, recount: () => undefined },
    followSession,
    findSession: async () => null,
    show: () => ({ session: { status: 'streaming' } as Session, user: {} as User }),
    clock: createManualClock(),
  });
  const observer = { userId: 'boss', role: 'supervisor' as const, expiresAt: 4_000_000_000 };
  const liveSink = { write: () => true };
  const events = await observeSession(
    { sessionId, observer, requestId: 'request', liveSink },
    new AbortController().signal,
  );
  let end: IdentifiedObservationEvent | undefined;
  for await (const told of events) end = told;
  expect(end?.event).toEqual({ type: 'observer', status: 'ended', reason: 'role' });
  expect(end?.id).toBe(formatNoticeId(idAt(5), noticeOrdinal(end?.id ?? '')));
});
