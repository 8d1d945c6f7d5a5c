import { migrate } from '@chat-service/server/db/migrate';
import { parseDatabaseUrl } from '@chat-service/server/db/database-url';
import { connectSqlite } from '@chat-service/server/db/sqlite/connect';
import { silentLogger } from '../../../packages/server/test/support/databases.ts';

export interface Filling {
  readonly sessions: number;
  /** `user-0`, `user-1` and so on, who have equally many. */
  readonly users: number;
}

/** Coprime to every number of sessions here: neighbours in the list of a user are no neighbours in the file. */
const stride = 7919;
const beginning = Date.UTC(2026, 0, 1);

/** Fills a SQLite file that no server has open, a million sessions in seconds. */
export async function fillSessions(databaseUrl: string, { sessions, users }: Filling): Promise<void> {
  await migrate(databaseUrl, { logger: silentLogger });
  const connection = connectSqlite(sqliteFile(databaseUrl));
  // Nobody needs what would be left of it after a crash.
  connection.pragma('journal_mode = MEMORY');
  connection.pragma('synchronous = OFF');
  const insertUser = connection.prepare(
    `insert into users (id, role, plan, session_count, last_seen_at, created_at) values (?, 'enduser', 'free', ?, ?, ?)`,
  );
  const insertSession = connection.prepare(
    `insert into sessions (id, user_id, title, title_is_automatic, model_id, source, parameters, metadata, temporary,
       message_count, last_message_at, sort_at, next_sequence, created_at, updated_at)
     values (?, ?, ?, 1, null, 'api', ?, ?, 0, 4, ?, ?, 5, ?, ?)`,
  );
  connection.transaction(() => {
    for (let user = 0; user < users; user += 1) {
      insertUser.run(`user-${user}`, sessions / users, beginning, beginning);
    }
    for (let index = 0; index < sessions; index += 1) {
      const createdAt = beginning + index;
      const usedAt = beginning + sessions + ((index * stride) % sessions);
      // Of each user's, one in four has what a client may give it.
      const isPlain = Math.floor(index / users) % 4 !== 0;
      const parameters = isPlain ? '{}' : '{"temperature":0.7,"maxTokens":1000}';
      const metadata = isPlain ? '{}' : `{"project":"project ${index}","team":"support"}`;
      const title = `What was asked at first in session ${index}`;
      const user = `user-${index % users}`;
      insertSession.run(uuidAt(createdAt, index), user, title, parameters, metadata, usedAt, usedAt, createdAt, usedAt);
    }
  })();
  connection.pragma('journal_mode = WAL');
  connection.close();
}

export function sqliteFile(databaseUrl: string): string {
  const location = parseDatabaseUrl(databaseUrl);
  if (location.kind !== 'sqlite') throw new Error('This benchmark is of SQLite.');
  return location.file;
}

/** A UUIDv7 whose random part is no surprise. */
function uuidAt(time: number, index: number): string {
  const hex = time.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-${index.toString(16).padStart(12, '0')}`;
}
