import type { LiveOutput } from '@chat-service/shared/supervisor-api';
import type { Database } from '../../db/database.ts';
import type { FindUsers } from '../accounts/find-users.ts';
import type { ListLiveGenerations } from '../generations/list-live-generations.ts';
import type { ToSession } from '../sessions/session-row.ts';
import type { ObserverCounts } from './observer-counts.ts';

/** The sessions that are being written to on all instances, the one that began last first; at most 1,000 of them. */
export type ListLive = () => Promise<LiveOutput>;

export interface ListLiveDependencies {
  readonly database: Database;
  readonly listLiveGenerations: ListLiveGenerations;
  readonly findUsers: FindUsers;
  readonly toSession: ToSession;
  readonly counts: Pick<ObserverCounts, 'read'>;
  /** Whether sessions show how many watch them. */
  readonly notice: boolean;
}

const mostListed = 1000;

export function createListLive(deps: ListLiveDependencies): ListLive {
  const { database, listLiveGenerations, findUsers, toSession, counts, notice } = deps;
  return async function listLive() {
    const live = await listLiveGenerations(mostListed);
    const users = await findUsers([...new Set(live.map(({ session }) => session.userId))]);
    const observers = await counts.read(
      database.query,
      live.map(({ session }) => session.id),
    );
    const sessions = live.flatMap(({ session, modelId, startedAt, outputTokens }) => {
      const user = users.get(session.userId);
      if (user === undefined) return [];
      const watching = observers.get(session.id) ?? 0;
      return [
        {
          session: { ...toSession(session), observers: notice ? watching : null },
          user,
          modelId,
          startedAt: startedAt.toISOString(),
          outputTokens,
          observers: watching,
        },
      ];
    });
    return { sessions };
  };
}
