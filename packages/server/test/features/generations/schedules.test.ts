import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase, type Database } from '../../../src/db/database.ts';
import { migrate } from '../../../src/db/migrate.ts';
import { createTestDatabase, silentLogger, type TestDatabase } from '../../support/databases.ts';
import { createMemoryRows } from './simulation/memory-rows.ts';
import { playSchedule } from './simulation/simulation.ts';
import { createSqliteRows } from './simulation/sqlite-rows.ts';
import type { Tally } from './simulation/world.ts';

/*
 * Seeds are 1, 2, 3 and so on, so that every run tries the same and a longer one more. A failure names its seed:
 * SCHEDULE_SEED=<seed> plays that schedule alone, with SCHEDULE_RUNS=<n> as many from it on.
 */
const { SOAK: soak, SCHEDULE_SEED: seed, SCHEDULE_RUNS: runs } = process.env;
const first = Number(seed ?? 1);

function seeds(counts: { small: number; ci: number; full: number }): number[] {
  const chosen = soak === 'full' || soak === 'ci' ? counts[soak] : counts.small;
  const length = Number(runs ?? (seed === undefined ? chosen : 1));
  return Array.from({ length }, (_, index) => first + index);
}

async function play(chosen: number[], playOne: (seed: number) => Promise<Tally>): Promise<Tally> {
  const sum: Tally = {};
  for (const one of chosen) {
    for (const [name, count] of Object.entries(await playOne(one))) sum[name] = (sum[name] ?? 0) + count;
  }
  return sum;
}

/** What a suite has to have met for its silence to mean something. */
const common = ['event', 'kill', 'standstill', 'resumption', 'take-over', 'resync', 'complete', 'interrupted'];
const rare = ['outage', 'refused end', 'stopped', 'failed', 'refused'];

function expectVariety(tally: Tally, names: string[], least: number): void {
  for (const name of names) {
    expect([name, tally[name] ?? 0]).toEqual([name, expect.toSatisfy((count: number) => count >= least)]);
  }
}

describe('every reader has the truth at each of its ids and at the end', () => {
  const chosen = seeds({ small: 1000, ci: 10_000, full: 200_000 });
  it(`in ${chosen.length} random schedules over rows in memory`, { timeout: 3_600_000 }, async () => {
    const tally = await play(chosen, (one) => playSchedule(one, createMemoryRows));
    expectVariety(tally, [...common, ...rare], seed === undefined ? chosen.length / 100 : 0);
  });
});

describe('the same over the real stores', () => {
  const chosen = seeds({ small: 40, ci: 300, full: 3000 });
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
  it(`in ${chosen.length} random schedules on SQLite`, { timeout: 3_600_000 }, async () => {
    const playOne = (one: number) =>
      playSchedule(one, (schedule, random) => createSqliteRows(database, schedule, random));
    const tally = await play(chosen, playOne);
    expectVariety(tally, common, seed === undefined ? 1 : 0);
  });
});
