import type { SessionChangeEvent } from '@chat-service/shared/events';
import { eq } from 'drizzle-orm';
import type { Database, Queryable } from '../../db/database.ts';
import type { GenerationLog } from './generation-log.ts';
import type { GenerationOwner } from './generation-owner.ts';
import type { GenerationsStore } from './generations-store.ts';
import type { Position } from './position.ts';

/** Where in the session's log a change has its place: one of its own, or among the events of the answer that runs. */
export type ChangePlace =
  | { readonly kind: 'idle'; readonly position: Position; readonly previous: Position }
  | { readonly kind: 'running'; readonly generationId: string };

/** Tells the watchers of a session what changes in it beside its answers. */
export interface AnnounceChange {
  /** In the transaction of the change, the session being locked. */
  place(tx: Queryable, sessionId: string): Promise<ChangePlace>;
  /** After its commit. */
  publish(sessionId: string, place: ChangePlace, event: SessionChangeEvent): Promise<void>;
}

export interface AnnounceDependencies {
  readonly database: Database;
  readonly store: GenerationsStore;
  readonly owner: GenerationOwner;
  readonly log: GenerationLog;
}

export function createAnnounceChange({ database, store, owner, log }: AnnounceDependencies): AnnounceChange {
  const { sessions } = database.tables;

  /** Null for a session whose rows are gone. */
  async function findPlace(tx: Queryable, sessionId: string): Promise<ChangePlace | null> {
    const session = await store.lockSessionOf(tx, sessionId);
    if (session === null) return null;
    // The owner of an answer that runs numbers the events of its session.
    if (session.activeGenerationId !== null) return { kind: 'running', generationId: session.activeGenerationId };
    const position: Position = { fence: await store.raiseFence(tx, sessionId), number: 1 };
    await tx
      .update(sessions)
      .set({ logFence: position.fence, logNumber: position.number })
      .where(eq(sessions.id, sessionId));
    return { kind: 'idle', position, previous: { fence: session.logFence, number: session.logNumber } };
  }

  async function place(tx: Queryable, sessionId: string): Promise<ChangePlace> {
    const found = await findPlace(tx, sessionId);
    if (found === null) throw new Error(`Session ${sessionId} is gone while it is changed.`);
    return found;
  }

  async function publish(sessionId: string, where: ChangePlace, event: SessionChangeEvent): Promise<void> {
    if (where.kind === 'idle') {
      await log.append(sessionId, [{ position: where.position, previous: where.previous, event }]);
      return;
    }
    if (await owner.announce(where.generationId, event)) return;
    // It ended in between, or runs elsewhere; there its watchers see the change with the next one.
    const again = await database.transaction((tx) => findPlace(tx, sessionId));
    // Null: it was deleted since, which its watchers are told in any case.
    if (again?.kind === 'idle') await publish(sessionId, again, event);
  }

  return { place, publish };
}
