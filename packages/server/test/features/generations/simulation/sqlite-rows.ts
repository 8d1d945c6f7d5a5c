import { sql } from 'drizzle-orm';
import type { Database } from '../../../../src/db/database.ts';
import { createGenerationsStore } from '../../../../src/features/generations/generations-store.ts';
import { createMessageStore } from '../../../../src/features/generations/message-store.ts';
import { createSegmentsStore } from '../../../../src/features/generations/segments-store.ts';
import { clearDatabase } from '../../../support/databases.ts';
import { sessionRow, userRow } from '../../../support/rows.ts';
import type { Random } from './random.ts';
import { DatabaseAway, userId, type Rows } from './rows.ts';
import type { Schedule } from './schedule.ts';

/**
 * The real stores over a real SQLite database, whose clock is the schedule's. A transaction and a lone statement are one
 * step each: nothing can be killed in the middle of one.
 */
export async function createSqliteRows(database: Database, schedule: Schedule, random: Random): Promise<Rows> {
  await clearDatabase(database);
  const { query, tables } = database;
  await query.insert(tables.users).values(userRow(userId));
  const time = (milliseconds: number) => sql<Date>`${milliseconds}`.mapWith(tables.users.createdAt);
  const dialect: Database['dialect'] = {
    ...database.dialect,
    now: () => time(schedule.now()),
    nowPlus: (milliseconds) => time(schedule.now() + milliseconds),
  };
  const segments = createSegmentsStore(database);
  const messages = createMessageStore(database);
  const store = createGenerationsStore({ tables, dialect });

  function fail(): void {
    if (rows.faulty && random.chance(0.3)) throw new DatabaseAway('The database is away.');
  }

  const rows: Rows = {
    faulty: false,
    stepsInTransactions: false,
    open(process) {
      const step = () => schedule.point(process);
      return {
        segments,
        messages,
        store,
        database: {
          ...database,
          dialect,
          async transaction(work) {
            await step();
            fail();
            const result = await database.transaction(work);
            await step();
            // The commit stands, and its answer is lost.
            fail();
            return result;
          },
        },
      };
    },
    forget: () => undefined,
    async addSession(sessionId) {
      await query.insert(tables.sessions).values(sessionRow(sessionId, userId));
    },
    generation: (id) => store.find(query, id),
    message: (id) => messages.find(query, id),
    checkpointed: () => Promise.resolve(''),
    segmentText: async (id) => (await segments.read(query, id))?.text ?? null,
  };
  return rows;
}
