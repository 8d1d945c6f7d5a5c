import type { Role } from '@chat-service/shared/objects';
import { clockToleranceSeconds, supervisorRoles } from '../../clients/auth/principal.ts';
import type { Database } from '../../db/database.ts';
import type { Clock } from '../../platform/clock.ts';
import { at } from '../../platform/deadline.ts';
import type { Logger } from '../../platform/logger.ts';
import type { NewId } from '../../platform/ids.ts';
import type { AuditStore } from './audit-store.ts';
import { removeObservations } from './end-observations.ts';
import type { ObservationsStore } from './observations-store.ts';
import type { ObserverCounts } from './observer-counts.ts';

/** Why an observation is ended that its observer would go on with. */
export type ObservationEnd = 'token' | 'role' | 'unavailable';

/** What is to be kept: its row is committed, held by `owner`. */
export interface KeptObservation {
  readonly id: string;
  readonly sessionId: string;
  readonly observerId: string;
  /** `exp` of the observer's token, in seconds since the epoch. */
  readonly tokenExpiresAt: number;
  /** When the lease was known to be held, by this process's clock. */
  readonly confirmedAt: number;
}

/** The time of an observation. Disposing ends it, which is written down. */
export interface Stay extends Disposable {
  /** Aborts when the observer leaves, or may look no longer. */
  readonly signal: AbortSignal;
  /** Why the observer may look no longer; null where that is not so. */
  readonly ended: ObservationEnd | null;
  /** Resolves when the observer has left. */
  readonly left: Promise<void>;
}

/** Keeps the observations of this process: their leases, and what entitles to them. */
export interface ObservationKeeper {
  readonly owner: string;
  /** Keeps an observation until it has to end, is disposed, or `away` aborts because the observer is. */
  keep(observation: KeptObservation, away: AbortSignal): Stay;
  /** Ends the background work; what is still open is written as ended. */
  stop(): Promise<void>;
}

export interface KeepObservationsDependencies {
  readonly database: Database;
  readonly store: ObservationsStore;
  readonly audit: Pick<AuditStore, 'append'>;
  readonly counts: Pick<ObserverCounts, 'recount'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly newId: NewId;
  readonly leaseMilliseconds: number;
}

const heartbeatsInLease = 3;
const roleMs = 30_000;
/** Before the connection is closed: what is said then would not be heard any more. */
const farewellMs = 1000;

interface Held {
  readonly observation: KeptObservation;
  confirmedAt: number;
  readonly over: AbortController;
  ended: ObservationEnd | null;
  readonly cancelToken: () => void;
}

/** One statement a heartbeat for all of them, and one query every 30 s for all their observers' roles. */
export function createObservationKeeper(deps: KeepObservationsDependencies): ObservationKeeper {
  const { database, store, counts, clock, logger, newId, leaseMilliseconds } = deps;
  const owner = newId();
  const held = new Map<string, Held>();
  const leaving = new Map<string, string>();
  let removing: Promise<void> | null = null;
  let cancelBeat: (() => void) | null = null;
  let cancelRoles: (() => void) | null = null;
  let stopped = false;

  function end(id: string, reason: ObservationEnd): void {
    const entry = held.get(id);
    if (entry === undefined) return;
    entry.ended = reason;
    leave(id);
  }

  function leave(id: string): void {
    const entry = held.get(id);
    if (entry === undefined) return;
    held.delete(id);
    entry.cancelToken();
    entry.over.abort();
    leaving.set(id, entry.observation.sessionId);
    // Those who leave together are written together.
    removing ??= Promise.resolve().then(remove);
  }

  async function remove(): Promise<void> {
    while (leaving.size > 0) {
      const batch = new Map(leaving);
      leaving.clear();
      try {
        await removeObservations(deps, [...batch.keys()]);
        for (const sessionId of new Set(batch.values())) counts.recount(sessionId);
      } catch (error) {
        logger.warn({ err: error, observations: batch.size }, 'left the end of observations to the sweeper');
      }
    }
    removing = null;
  }

  async function renew(): Promise<void> {
    const ids = [...held.keys()];
    const confirmedAt = clock.now();
    try {
      const renewed = await store.renew(database.query, owner, ids, leaseMilliseconds);
      for (const id of ids) {
        const entry = held.get(id);
        // Written as ended by another instance, which has taken this one for dead.
        if (!renewed.has(id)) end(id, 'unavailable');
        else if (entry !== undefined) entry.confirmedAt = Math.max(entry.confirmedAt, confirmedAt);
      }
    } catch (error) {
      logger.warn({ err: error, observations: ids.length }, 'could not renew the leases of observations');
    }
  }

  function beat(): void {
    cancelBeat = clock.after(leaseMilliseconds / heartbeatsInLease, () => {
      cancelBeat = null;
      // A statement that is never answered must not hide that the lease is over.
      for (const [id, { confirmedAt }] of held) {
        if (clock.now() - confirmedAt >= leaseMilliseconds) end(id, 'unavailable');
      }
      if (held.size === 0 || stopped) return;
      void renew();
      beat();
    });
  }

  async function checkRoles(): Promise<void> {
    const entries = [...held.values()].map(({ observation }) => observation);
    try {
      const roles = await store.rolesOf(database.query, [...new Set(entries.map(({ observerId }) => observerId))]);
      for (const { id, observerId } of entries) if (!maySupervise(roles.get(observerId))) end(id, 'role');
    } catch (error) {
      logger.warn({ err: error, observations: entries.length }, 'could not look at the roles of observers');
    }
  }

  function scheduleRoles(): void {
    cancelRoles = clock.after(roleMs, () => {
      cancelRoles = null;
      if (held.size === 0 || stopped) return;
      void checkRoles();
      scheduleRoles();
    });
  }

  return {
    owner,
    keep(observation, away) {
      const { id, tokenExpiresAt, confirmedAt } = observation;
      const over = new AbortController();
      const { promise: left, resolve } = Promise.withResolvers<void>();
      const endOfToken = (tokenExpiresAt + clockToleranceSeconds) * 1000 - farewellMs;
      const entry: Held = {
        observation,
        confirmedAt,
        over,
        ended: null,
        cancelToken: at(clock, endOfToken, () => end(id, 'token')),
      };
      held.set(id, entry);
      const onLeave = () => {
        leave(id);
        resolve();
      };
      away.addEventListener('abort', onLeave, { once: true });
      if (away.aborted) onLeave();
      // Whoever comes while this stops is left to the sweeper.
      if (cancelBeat === null && !stopped) beat();
      if (cancelRoles === null && !stopped) scheduleRoles();
      return {
        signal: over.signal,
        left,
        get ended() {
          return entry.ended;
        },
        [Symbol.dispose]() {
          away.removeEventListener('abort', onLeave);
          onLeave();
        },
      };
    },
    async stop() {
      stopped = true;
      cancelBeat?.();
      cancelRoles?.();
      for (const id of [...held.keys()]) leave(id);
      await removing;
    },
  };
}

export function maySupervise(role: Role | undefined): boolean {
  return role !== undefined && supervisorRoles.includes(role);
}
