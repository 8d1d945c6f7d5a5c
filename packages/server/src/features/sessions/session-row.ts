import type { Session } from '@chat-service/shared/objects';
import type { Queryable, Tables } from '../../db/database.ts';

export type SessionRow = Tables['sessions']['$inferSelect'];

/** What a session is shown from, and its place in the list. */
export function shownColumns({ sessions }: Pick<Tables, 'sessions'>) {
  const { id, userId, title, modelId, source, systemPrompt, parameters, metadata, temporary } = sessions;
  const { activeGenerationId, messageCount, lastMessageAt, sortAt, createdAt, updatedAt } = sessions;
  const settings = { title, modelId, source, systemPrompt, parameters, metadata, temporary };
  return { id, userId, ...settings, activeGenerationId, messageCount, lastMessageAt, sortAt, createdAt, updatedAt };
}

export type ShownRow = Pick<SessionRow, keyof ReturnType<typeof shownColumns>>;

/** The stored session as every door shows it. */
export type ToSession = (row: ShownRow) => Session;

export function createToSession(defaultModelId: string): ToSession {
  return (row) => ({
    id: row.id,
    userId: row.userId,
    title: row.title,
    modelId: row.modelId ?? defaultModelId,
    source: row.source,
    systemPrompt: row.systemPrompt,
    parameters: row.parameters,
    metadata: row.metadata,
    status: row.activeGenerationId === null ? 'idle' : 'streaming',
    activeStreamId: row.activeGenerationId,
    messageCount: row.messageCount,
    lastMessageAt: row.lastMessageAt?.toISOString() ?? null,
    temporary: row.temporary,
    observers: null,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  });
}

/** Fills in how many supervisors observe each session. */
export type ShowObservers = (tx: Queryable, sessions: readonly Session[]) => Promise<Session[]>;

/** Stored sessions as their user sees them; read with the given handle. */
export type ShowSessions = (tx: Queryable, rows: readonly ShownRow[]) => Promise<Session[]>;

/** @param showObservers null where users are not shown who watches */
export function createShowSessions(toSession: ToSession, showObservers: ShowObservers | null): ShowSessions {
  return function showSessions(tx, rows) {
    const sessions = rows.map(toSession);
    return showObservers === null ? Promise.resolve(sessions) : showObservers(tx, sessions);
  };
}

/** The one session of a list of one. */
export async function showSession(show: ShowSessions, tx: Queryable, row: ShownRow): Promise<Session> {
  const [session] = await show(tx, [row]);
  if (session === undefined) throw new Error('A session was not shown.');
  return session;
}
