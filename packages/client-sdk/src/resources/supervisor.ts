import type { Session } from '@chat-service/shared/objects';
import type {
  AuditEntry,
  AuditLogInput,
  LiveOutput,
  SearchUsersInput,
  StopObservedInput,
  User,
  UserSessionInput,
  UserSessionOutput,
  UserSessionsInput,
} from '@chat-service/shared/supervisor-api';
import type { StopMessageOutput } from '@chat-service/shared/message-api';
import type { ChatError } from '../errors.ts';
import { initialObservationState, type ObservationState } from '../observation-state.ts';
import { Observation } from '../observation.ts';
import { PagedList } from '../paged-list.ts';
import type { RequestOptions } from '../transport/call.ts';
import { watchObservation } from '../transport/watch-observation.ts';
import type { WatchOptions } from '../transport/watch-log.ts';
import { at, type ResourceContext } from './resource-context.ts';

export interface ObserveOptions {
  /** Why the session is looked at; kept in the audit log. The operator may require one. */
  reason?: string;
  /** Goes on from what an earlier observation knew. */
  state?: ObservationState;
  /** Ends the observation, with the signal's reason. */
  signal?: AbortSignal;
  /** A connection was lost, or could not be made; another attempt follows. */
  onReconnecting?: (attempt: number, error: ChatError) => void;
}

/** For supervisors and admins; everybody else gets a `ForbiddenError`. Every look is written to the audit log. */
export interface Supervisor {
  /** The sessions in which an answer is being written now. */
  live(input?: { reason?: string }, options?: RequestOptions): Promise<LiveOutput>;
  readonly users: {
    /** Users by any part of name, email or id; one or two characters match the beginning. */
    search(input: SearchUsersInput, options?: RequestOptions): PagedList<User>;
  };
  /** The sessions of a user, the most recently used first. */
  sessions(userId: string, input?: Omit<UserSessionsInput, 'userId'>, options?: RequestOptions): PagedList<Session>;
  /** One of them, with its newest messages, oldest first; `cursor: pagination.nextCursor` leads to those before. */
  session(
    userId: string,
    sessionId: string,
    input?: Omit<UserSessionInput, 'userId' | 'sessionId'>,
    options?: RequestOptions,
  ): Promise<UserSessionOutput>;
  /**
   * Watches a session, whether or not an answer is being written.
   *
   * @example
   * const observation = chat.supervisor.observe(sessionId, { reason: 'complaint 4711' });
   * for await (const event of observation) if (event.type === 'chunk') process.stdout.write(event.text);
   */
  observe(sessionId: string, options?: ObserveOptions): Observation;
  /** Stops the answer that is being written. Not repeated by itself: it could stop the next one. */
  stop(
    sessionId: string,
    input?: Omit<StopObservedInput, 'sessionId'>,
    options?: RequestOptions,
  ): Promise<StopMessageOutput>;
  /** Who looked at what, the newest first. For admins. */
  auditLog(input?: AuditLogInput, options?: RequestOptions): PagedList<AuditEntry>;
}

export function createSupervisor({ trpc, call }: ResourceContext, watchOptions: WatchOptions): Supervisor {
  const { supervisor } = trpc;
  return {
    live: (input = {}, options) =>
      call((signal) => supervisor.live.query(input, { signal }), { repeatable: true, options }),
    users: {
      search: (input, options) =>
        new PagedList(async (cursor) => {
          const { users, pagination } = await call(
            (signal) => supervisor.searchUsers.query(at(input, cursor), { signal }),
            { repeatable: true, options },
          );
          return { items: users, pagination };
        }),
    },
    sessions: (userId, input, options) =>
      new PagedList(async (cursor) => {
        const { sessions, pagination } = await call(
          (signal) => supervisor.userSessions.query(at({ ...input, userId }, cursor), { signal }),
          { repeatable: true, options },
        );
        return { items: sessions, pagination };
      }),
    session: (userId, sessionId, input, options) =>
      call((signal) => supervisor.userSession.query({ ...input, userId, sessionId }, { signal }), {
        repeatable: true,
        options,
      }),
    observe: (sessionId, { reason, state, signal, onReconnecting } = {}) =>
      new Observation({
        state: state ?? initialObservationState(sessionId),
        signal,
        open: (handlers) =>
          watchObservation(
            { sessionId, ...(reason !== undefined && { reason }), lastEventId: state?.lastEventId ?? undefined },
            { ...handlers, onReconnecting: (attempt, error) => onReconnecting?.(attempt, error) },
            watchOptions,
          ),
      }),
    stop: (sessionId, input, options) =>
      call((signal) => supervisor.stop.mutate({ ...input, sessionId }, { signal }), { repeatable: false, options }),
    auditLog: (input = {}, options) =>
      new PagedList(async (cursor) => {
        const { entries, pagination } = await call(
          (signal) => supervisor.auditLog.query(at(input, cursor), { signal }),
          { repeatable: true, options },
        );
        return { items: entries, pagination };
      }),
  };
}
