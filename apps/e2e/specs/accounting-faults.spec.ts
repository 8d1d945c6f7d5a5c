import { createReconcile } from '@chat-service/server/features/credits/reconcile';
import { expect, it } from 'vitest';
import { openAccountingJournal, type AccountingJournal } from '../src/accounting-journal.ts';
import { isLongRun, serviceToken } from '../src/accounting-world.ts';
import { checkCharges } from '../src/accounting-faults/check-charges.ts';
import { faultNames, killPoints, planRun, runModels, type RunPlan } from '../src/accounting-faults/plan-run.ts';
import { playRun, type PlayedRun } from '../src/accounting-faults/play-run.ts';
import { startRestartingServer, type RestartingServer } from '../src/accounting-faults/restarting-server.ts';
import type { DatabaseKind } from '../../../packages/server/test/support/databases.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { runCommand } from '../src/run-command.ts';
import { startWorld, type World } from '../src/world.ts';

/*
 * Random conversations of several users at once, each with at least two faults of the Accounting Service and with crashes
 * of our own server, against the books of the service. Seeds are 1, 2, 3 and so on; in the long runs each fourth is for Postgres. A failure
 * names those that ran together: ACCOUNTING_SEED=<seed> ACCOUNTING_RUNS=<n> plays n from that one on, on both databases.
 */
const { SOAK: soak, ACCOUNTING_SEED: seed, ACCOUNTING_RUNS: runs } = process.env;
const standard = soak === 'full' ? 1000 : soak === 'ci' ? 60 : 5;
const count = Number(runs ?? (seed === undefined ? standard : 1));
const seeds = Array.from({ length: count }, (_, index) => Number(seed ?? 1) + index);

/** Users of one server at a time. */
const together = 10;
/** Crashes of the server meanwhile: each costs a start. */
const mostKills = isLongRun ? 2 : 1;
/** Then everything is made anew, so that rows and journals stay small. */
const batchesInWorld = 10;

function* slices<Item>(items: readonly Item[], length: number): Generator<Item[]> {
  for (let index = 0; index < items.length; index += length) yield items.slice(index, index + length);
}

interface Tally {
  readonly deaths: Map<string, number>;
  readonly faults: Map<string, number>;
  readonly ends: Map<string, number>;
}

function add(tally: Map<string, number>, names: readonly string[]): void {
  for (const name of names) tally.set(name, (tally.get(name) ?? 0) + 1);
}

async function playBatch(
  world: World,
  server: RestartingServer,
  journal: AccountingJournal,
  plans: readonly RunPlan[],
): Promise<PlayedRun[]> {
  const kills = plans.flatMap(({ kill }) => kill ?? []).slice(0, mostKills);
  await server.killAt(kills);
  const played = await Promise.all(plans.map((plan) => playRun(world, server, plan)));
  for (const { faults } of played) expect(faults.length, 'faults of a run').toBeGreaterThanOrEqual(2);
  await server.calm();
  for (const call of world.openai.calls) if (call.state === 'running') call.releaseAll();
  const userIds = plans.map(({ userId }) => userId);
  await checkCharges(world, journal, await journal.check({ userIds }), userIds);
  const problems: string[] = [];
  await createReconcile({ database: journal.database, kind: 'http' })((problem) => problems.push(problem));
  expect(problems, 'the rows add up').toEqual([]);
  return played;
}

async function playWorld(kind: World['kind'], own: readonly number[], tally: Tally): Promise<void> {
  await using world = await startWorld({
    kind,
    serve: false,
    models: runModels,
    accounting: { token: serviceToken },
    // What a dead server has renewed in its last moment runs out while the books are waited for.
    env: { MAX_CONCURRENT_GENERATIONS: '100', LEASE_SECONDS: '15' },
  });
  const journal = await openAccountingJournal(world);
  await using server = await startRestartingServer(world, journal);
  for (const batch of slices(own, together)) {
    try {
      const played = await playBatch(world, server, journal, batch.map(planRun));
      for (const { faults, told } of played) {
        add(tally.faults, faults);
        add(tally.ends, told);
      }
    } catch (error) {
      const words = `ACCOUNTING_SEED=${batch[0]} ACCOUNTING_RUNS=${(batch.at(-1) ?? 0) - (batch[0] ?? 0) + 1}`;
      throw new Error(`${words} on ${kind}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
  }
  add(tally.deaths, server.deaths);
  const { generations } = await journal.rows();
  add(
    tally.ends,
    generations.map(({ status }) => status),
  );
  const reconciled = await runCommand(['reconcile'], world.env);
  expect(reconciled, 'chat-service reconcile').toMatchObject({ code: 0 });
}

const shareOf = (one: number) => (isLongRun && one % 4 === 0 ? 'postgres' : 'sqlite');
const seedsOf = (kind: DatabaseKind) => seeds.filter((one) => seed !== undefined || shareOf(one) === kind);

function tryBooks(kind: DatabaseKind): void {
  const own = seedsOf(kind);

  it(`are right after ${own.length} random runs`, { timeout: 4 * 3_600_000 }, async () => {
    const tally: Tally = { deaths: new Map(), faults: new Map(), ends: new Map() };
    for (const some of slices(own, together * batchesInWorld)) await playWorld(kind, some, tally);
    if (seed !== undefined || own.length < 200) return;
    // What its silence means something for.
    for (const point of killPoints) expect([point, tally.deaths.get(point) ?? 0]).not.toContain(0);
    for (const name of faultNames) expect([name, tally.faults.get(name) ?? 0]).not.toContain(0);
    const ends = ['complete', 'stopped', 'failed', 'interrupted', 'refused'];
    const told = ['200', '402 INSUFFICIENT_CREDITS', '503 ACCOUNTING_UNAVAILABLE', '502 INTERRUPTED'];
    for (const end of [...ends, ...told]) expect([end, tally.ends.get(end) ?? 0]).not.toContain(0);
  });
}

describeEachDatabase('the books of the Accounting Service', tryBooks, (kind) => seedsOf(kind).length > 0);
