import type { Role } from '@chat-service/shared/objects';
import type { Database } from '../../db/database.ts';
import type { Clock } from '../../platform/clock.ts';
import type { LiveSink } from '../../platform/live-sink.ts';
import type { NewId } from '../../platform/ids.ts';
import { ServiceError } from '../../platform/service-error.ts';
import { auditUnavailable, type AuditStore } from './audit-store.ts';
import { maySupervise, type KeptObservation } from './keep-observations.ts';
import type { ObservationsStore, ObservedSession } from './observations-store.ts';

/** Somebody who wants to observe a session. */
export interface ObserveRequest {
  readonly sessionId: string;
  /** Kept in the audit log. */
  readonly reason?: string | null | undefined;
  /** Goes on after this event; without one, or with one that cannot be served, it begins with the history. */
  readonly lastEventId?: string | null | undefined;
  readonly observer: {
    readonly userId: string;
    readonly role: Role;
    /** `exp` of the token, in seconds since the epoch. */
    readonly expiresAt: number;
  };
  readonly clientAddress?: string | null | undefined;
  readonly requestId: string;
  /** The short way to the observer's client, where the door has one. */
  readonly liveSink?: LiveSink | null | undefined;
}

/** An observation that is written down: from now on it is to be kept or left. */
export interface AttachedObservation extends KeptObservation, ObservedSession {
  /** How many watch the session now, this one counted. */
  readonly observers: number;
}

/**
 * Writes an observation down, committed when this resolves; the attempt to observe what is not there as well.
 * @throws ServiceError `FORBIDDEN` where the observer's role has ended since the token was issued, `NOT_FOUND`,
 * `UNAVAILABLE` where the look cannot be written down
 */
export type AttachObservation = (request: ObserveRequest, owner: string) => Promise<AttachedObservation>;

export interface AttachDependencies {
  readonly database: Database;
  readonly store: ObservationsStore;
  readonly audit: Pick<AuditStore, 'append'>;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly leaseMilliseconds: number;
}

export function createAttachObservation(deps: AttachDependencies): AttachObservation {
  const { database, store, audit, clock, newId, leaseMilliseconds } = deps;

  return async function attachObservation({ sessionId, reason = null, observer, ...request }, owner) {
    const { userId: observerId, role } = observer;
    const { requestId, clientAddress = null } = request;
    const id = newId();
    const confirmedAt = clock.now();
    const attach = database.transaction(async (tx) => {
      const roles = await store.rolesOf(tx, [observerId]);
      if (!maySupervise(roles.get(observerId))) throw new ServiceError('FORBIDDEN');
      // Not locked: what is locked here would wait with the audit log, and the session's user with it.
      const found = await store.findSession(tx, sessionId);
      const subjectId = found?.user.id ?? null;
      await audit.append(tx, {
        actorId: observerId,
        actorRole: role,
        action: 'observe.attach',
        subjectId,
        sessionId,
        // Nothing is attached to what is not there, and nothing will be detached from it.
        connectionId: found === null ? null : id,
        clientAddress,
        requestId,
        reason,
      });
      if (found === null) return null;
      const row = { id, sessionId, observerId, observerRole: role, owner, clientAddress, requestId };
      await store.insert(tx, { ...row, subjectId: found.user.id }, leaseMilliseconds);
      return { ...found, observers: (await store.countBySession(tx, [sessionId])).get(sessionId) ?? 1 };
    });
    const found = await attach.catch((error: unknown) => {
      // Whatever keeps the look from being written down refuses it.
      if (error instanceof ServiceError) throw error;
      throw new ServiceError('UNAVAILABLE', { detail: auditUnavailable, cause: error });
    });
    if (found === null) throw new ServiceError('NOT_FOUND');
    return { ...found, id, sessionId, observerId, tokenExpiresAt: observer.expiresAt, confirmedAt };
  };
}
