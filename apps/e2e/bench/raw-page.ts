import { connectSqlite } from '@chat-service/server/db/sqlite/connect';
import type { Session } from '@chat-service/shared/objects';
import type { ListSessionsOutput } from '@chat-service/shared/session-api';
import { testModel } from '../src/world.ts';

/*
 * A page of a user's sessions read as directly as can be: two prepared statements and a literal. It is the floor's half of
 * the work and the oracle of what the service has to answer, so of the service it shares only how a file is opened.
 */

export interface RawPosition {
  readonly sortAt: number;
  readonly id: string;
}

interface Row {
  readonly id: string;
  readonly user_id: string;
  readonly title: string | null;
  readonly model_id: string | null;
  readonly source: string;
  readonly system_prompt: string | null;
  readonly parameters: string;
  readonly metadata: string;
  readonly active_generation_id: string | null;
  readonly message_count: number;
  readonly last_message_at: number | null;
  readonly sort_at: number;
  readonly temporary: number;
  readonly created_at: number;
  readonly updated_at: number;
}

const limit = 20;
const columns = `id, user_id, title, model_id, source, system_prompt, parameters, metadata, active_generation_id,
  message_count, last_message_at, sort_at, temporary, created_at, updated_at`;
const listed = 'user_id = ? and deleted_at is null and not temporary';
const order = `order by sort_at desc, id desc limit ${limit + 1}`;

export function openRawPages(file: string) {
  const connection = connectSqlite(file);
  const total = connection.prepare<[string], number>('select session_count from users where id = ?').pluck();
  const first = connection.prepare<[string], Row>(`select ${columns} from sessions where ${listed} ${order}`);
  const next = connection.prepare<[string, number, string], Row>(
    `select ${columns} from sessions where ${listed} and (sort_at, id) < (?, ?) ${order}`,
  );
  const place = connection.prepare<[string, number], { sort_at: number; id: string }>(
    `select sort_at, id from sessions where ${listed} order by sort_at desc, id desc limit 1 offset ?`,
  );
  return {
    /** The page after a position, or the first one. */
    read(userId: string, after: RawPosition | null = null): ListSessionsOutput {
      const rows = after === null ? first.all(userId) : next.all(userId, after.sortAt, after.id);
      return pageOf(rows, { total: total.get(userId) ?? 0, page: after === null ? 1 : null });
    },
    /** Of the last session of so many, the newest first. */
    positionAt(userId: string, depth: number): RawPosition {
      const row = place.get(userId, depth - 1);
      if (row === undefined) throw new Error(`${userId} has fewer than ${depth} sessions`);
      return { sortAt: row.sort_at, id: row.id };
    },
    [Symbol.dispose]: () => void connection.close(),
  };
}

export function cursorOf({ sortAt, id }: RawPosition): string {
  return Buffer.from(JSON.stringify([sortAt, id])).toString('base64url');
}

function pageOf(
  rows: readonly Row[],
  { total, page }: { readonly total: number; readonly page: number | null },
): ListSessionsOutput {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const hasMore = rows.length > limit;
  const nextCursor = hasMore && last !== undefined ? cursorOf({ sortAt: last.sort_at, id: last.id }) : null;
  return {
    sessions: shown.map(sessionOf),
    pagination: { page, limit, total, totalPages: Math.ceil(total / limit), hasMore, nextCursor },
  };
}

function sessionOf(row: Row): Session {
  return {
    id: row.id,
    userId: row.user_id,
    title: row.title,
    modelId: row.model_id ?? testModel,
    source: row.source,
    systemPrompt: row.system_prompt,
    parameters: JSON.parse(row.parameters) as Session['parameters'],
    metadata: JSON.parse(row.metadata) as Session['metadata'],
    status: row.active_generation_id === null ? 'idle' : 'streaming',
    activeStreamId: row.active_generation_id,
    messageCount: row.message_count,
    lastMessageAt: row.last_message_at === null ? null : new Date(row.last_message_at).toISOString(),
    temporary: row.temporary !== 0,
    observers: null,
    createdAt: new Date(row.created_at).toISOString(),
    updatedAt: new Date(row.updated_at).toISOString(),
  };
}
