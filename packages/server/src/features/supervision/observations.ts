import type { Database } from '../../db/database.ts';
import type { Clock } from '../../platform/clock.ts';
import type { NewId } from '../../platform/ids.ts';
import type { Logger } from '../../platform/logger.ts';
import type { FollowSession } from '../generations/follow-session.ts';
import type { ToSession } from '../sessions/session-row.ts';
import { createAttachObservation } from './attach-observation.ts';
import { createAuditStore } from './audit-store.ts';
import { createSweepObservations } from './end-observations.ts';
import { createObservationKeeper } from './keep-observations.ts';
import { createObservationsStore } from './observations-store.ts';
import { createObserveSession, type ObserveSession } from './observe-session.ts';
import type { ObserverCounts } from './observer-counts.ts';
import { toUser } from '../accounts/user-row.ts';

export interface ObservationsOptions {
  readonly database: Database;
  readonly counts: ObserverCounts;
  readonly followSession: FollowSession;
  readonly toSession: ToSession;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly newId: NewId;
  readonly leaseMilliseconds: number;
  /** Whether sessions show how many watch them. */
  readonly notice: boolean;
}

export interface Observations {
  readonly observeSession: ObserveSession;
  /** For the scheduler, once a lease: ends the observations of instances that died. */
  readonly sweepObservations: (signal: AbortSignal) => Promise<void>;
  /** For the start of a server that has its database to itself: ends all that it finds there, before it takes any. */
  readonly sweepAtStartAlone: () => Promise<void>;
  /** Writes what is still open here as ended. */
  stop(): Promise<void>;
}

/** Puts the live observation together. */
export function createObservations(options: ObservationsOptions): Observations {
  const { database, counts, toSession, notice } = options;
  const base = { ...options, store: createObservationsStore(database), audit: createAuditStore(options) };
  const keeper = createObservationKeeper(base);
  const sweep = createSweepObservations({ ...base, recount: counts.recount });
  return {
    observeSession: createObserveSession({
      ...base,
      keeper,
      attach: createAttachObservation(base),
      findSession: (sessionId) => base.store.findSession(database.query, sessionId),
      show: ({ session, user }, observers) => ({
        session: { ...toSession(session), observers: notice ? observers : null },
        user: toUser(user),
      }),
    }),
    sweepObservations: sweep.periodically,
    sweepAtStartAlone: sweep.atStartAlone,
    stop: () => keeper.stop(),
  };
}
