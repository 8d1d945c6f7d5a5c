import { afterAll, beforeAll, expect, it } from 'vitest';
import { openDatabase, type Database } from '../../../src/db/database.ts';
import { migrate } from '../../../src/db/migrate.ts';
import { createTestDatabase, silentLogger, type TestDatabase } from '../../support/databases.ts';
import { playSchedule, type Tally } from './simulation/simulation.ts';

/*
 * Seeds are 1, 2, 3 and so on, so that every run tries the same and a longer one more. A failure names its seed:
 * SCHEDULE_SEED=<seed> plays that schedule alone, with SCHEDULE_RUNS=<n> as many from it on.
 */
const { SOAK: soak, SCHEDULE_SEED: seed, SCHEDULE_RUNS: runs } = process.env;
const usual = soak === 'full' ? 5000 : soak === 'ci' ? 300 : 20;
const count = Number(runs ?? (seed === undefined ? usual : 1));

let home: TestDatabase;
let database: Database;
beforeAll(async () => {
  home = await createTestDatabase('sqlite');
  await migrate(home.url, { logger: silentLogger });
  database = await openDatabase(home.url, { logger: silentLogger });
});
afterAll(async () => {
  await database[Symbol.asyncDispose]();
  await home[Symbol.asyncDispose]();
});

it(
  `every observer has the whole truth, in order and once, in ${count} random schedules`,
  { timeout: 3_600_000 },
  async () => {
    const sum: Tally = {};
    for (let index = 0; index < count; index += 1) {
      const tally = await playSchedule(Number(seed ?? 1) + index, database);
      for (const [name, times] of Object.entries(tally)) sum[name] = (sum[name] ?? 0) + times;
    }
    if (seed !== undefined) return;
    const met = ['history-end', 'start', 'chunk', 'done', 'live', 'idle', 'message-deleted', 'session-deleted'];
    for (const name of [
      ...met,
      ...(count < 100 ? [] : ['resync']),
      'resumption',
      'sent at once',
      'kill',
      'stop',
      'update',
    ]) {
      expect([name, sum[name] ?? 0]).toEqual([name, expect.toSatisfy((times: number) => times > 0)]);
    }
  },
);
