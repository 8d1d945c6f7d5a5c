import { LRUCache } from 'lru-cache';
import type { Principal } from '../../clients/auth/principal.ts';
import type { Database } from '../../db/database.ts';
import type { Clock } from '../../platform/clock.ts';
import { createAccountsStore } from './accounts-store.ts';

/**
 * Keeps the `users` row in step with the tokens of its user; to be awaited before anything refers to the row. Rejects
 * with the database's error.
 */
export type RecordUser = (principal: Principal) => Promise<void>;

export interface RecordUserOptions {
  readonly database: Pick<Database, 'query' | 'tables'>;
  readonly clock: Clock;
}

/** `lastSeenAt` is exact to this much, and written no more often. */
const seenEveryMs = 5 * 60_000;
/** Users remembered by this process; one who is forgotten costs two statements that change nothing. */
const maxRemembered = 20_000;

interface Remembered {
  /** The latest claims brought to the row: it holds these or newer ones. */
  readonly principal: Principal;
  readonly seenAt: number;
}

/**
 * The row follows the newest claims by `iat`: an older token never undoes what a newer one brought, whatever order they
 * arrive in, here or at another instance (the condition is in the statement). `iat` moves on with equal claims too, or
 * a token between the two could still bring back what had changed. Claims without `iat` are stored while the row has
 * none either.
 *
 * What was recorded is remembered, so that most calls ask the database nothing.
 */
export function createRecordUser({ database, clock }: RecordUserOptions): RecordUser {
  const store = createAccountsStore(database);
  const remembered = new LRUCache<string, Remembered>({ max: maxRemembered });
  const underWay = new Map<string, Promise<void>>();

  async function write(principal: Principal): Promise<void> {
    const known = remembered.get(principal.userId);
    const now = clock.now();
    const isSeen = known !== undefined && isRecent(known.seenAt, now);
    if (!isSeen) await store.insertOrTouch(principal, new Date(now), new Date(now - seenEveryMs));
    const isNews = known === undefined || supersedes(principal, known.principal);
    if (isNews) await store.updateClaims(principal);
    remembered.set(principal.userId, {
      principal: isNews ? principal : known.principal,
      seenAt: isSeen ? known.seenAt : now,
    });
  }

  function isRecorded(principal: Principal): boolean {
    const known = remembered.get(principal.userId);
    return known !== undefined && isRecent(known.seenAt, clock.now()) && !supersedes(principal, known.principal);
  }

  return async (principal) => {
    const { userId } = principal;
    while (!isRecorded(principal)) {
      const running = underWay.get(userId);
      if (running !== undefined) {
        // Calls of one user come in bursts: they wait for the first one, and share its failure.
        await running;
        continue;
      }
      const work = write(principal).finally(() => underWay.delete(userId));
      underWay.set(userId, work);
      await work;
      return;
    }
  };
}

function isRecent(seenAt: number, now: number): boolean {
  return now - seenAt < seenEveryMs;
}

function supersedes(principal: Principal, known: Principal): boolean {
  if (principal.issuedAt === null) return known.issuedAt === null && !hasSameClaims(principal, known);
  return known.issuedAt === null || Math.floor(principal.issuedAt) > Math.floor(known.issuedAt);
}

function hasSameClaims(one: Principal, other: Principal): boolean {
  return (
    one.username === other.username && one.email === other.email && one.role === other.role && one.plan === other.plan
  );
}
