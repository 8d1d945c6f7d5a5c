import type { Database } from '../../db/database.ts';
import { ServiceError } from '../../platform/service-error.ts';
import type { FollowRequest, ReaderOrigin } from './follow-generation.ts';
import type { GenerationRow, GenerationsStore } from './generations-store.ts';
import { comparePositions, parseEventId, type Position } from './position.ts';

/** What a caller wants to follow: a generation by name or the latest one, from its start or after an event. */
export interface ReaderRequest {
  readonly userId: string;
  readonly sessionId: string;
  readonly generationId?: string | undefined;
  readonly lastEventId?: string | null | undefined;
}

/**
 * Finds the generation and the place in it that a reader asks for; null when there is nothing to send. An event id
 * names its generation and wins over the latest one; an unreadable one, or one of another generation than the one named,
 * counts as one that cannot be served.
 * @throws ServiceError `NOT_FOUND` for a session or generation that is not the caller's
 */
export type ResolveReader = (request: ReaderRequest) => Promise<FollowRequest | null>;

export interface ResolveDependencies {
  readonly database: Database;
  readonly store: GenerationsStore;
  /** How long after its end the latest generation is still followed unasked. */
  readonly bufferMilliseconds: number;
}

export function createResolveReader({ database, store, bufferMilliseconds }: ResolveDependencies): ResolveReader {
  const { query } = database;
  const at = (row: GenerationRow, from: ReaderOrigin): FollowRequest => {
    return { generationId: row.id, sessionId: row.sessionId, claimFence: row.claimFence, from };
  };

  return async function resolveReader({ userId, sessionId, generationId, lastEventId }) {
    if ((await store.findSession(query, sessionId, userId)) === null) throw new ServiceError('NOT_FOUND');
    const named = generationId === undefined ? null : await store.find(query, generationId);
    if (generationId !== undefined && named?.sessionId !== sessionId) throw new ServiceError('NOT_FOUND');
    if (lastEventId != null) {
      const position = parseEventId(sessionId, lastEventId);
      const row = position === null ? null : await store.findAt(query, sessionId, position);
      if (position !== null && row !== null && (named === null || named.id === row.id)) {
        const toEnd = compareToEnd(row, position);
        if (toEnd === 0) return null;
        if (toEnd < 0) return at(row, position);
      }
    }
    const row = named ?? (await store.findLatest(query, sessionId, bufferMilliseconds));
    return row === null ? null : at(row, lastEventId == null ? 'start' : 'unknown');
  };
}

/** Negative before the terminal event, 0 at it; an id beyond it was never given to anybody. */
function compareToEnd({ endFence, endNumber }: GenerationRow, position: Position): number {
  if (endFence === null || endNumber === null) return -1;
  return comparePositions(position, { fence: endFence, number: endNumber });
}
