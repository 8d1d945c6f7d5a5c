import { eq } from 'drizzle-orm';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createGenerationOwner, type GenerationOwner } from '../../../src/features/generations/generation-owner.ts';
import { createGenerationsStore } from '../../../src/features/generations/generations-store.ts';
import { createMemoryLog } from '../../../src/features/generations/memory-log.ts';
import { noProbe } from '../../../src/features/generations/probe.ts';
import {
  createRunningGeneration,
  type RunningGeneration,
} from '../../../src/features/generations/running-generation.ts';
import { createSegmentsStore } from '../../../src/features/generations/segments-store.ts';
import { createManualClock, type ManualClock } from '../../platform/manual-clock.ts';
import { describeEachDatabase, silentLogger } from '../../support/databases.ts';
import { generationRow, sessionRow, userRow } from '../../support/rows.ts';

const leaseMilliseconds = 15_000;

describeEachDatabase('the owner of a generation whose database is away for longer than the lease', (fixture) => {
  let clock: ManualClock;
  let owner: GenerationOwner;
  let running: RunningGeneration;
  let work: PromiseWithResolvers<void>;
  let away: boolean;

  beforeEach(async () => {
    await fixture.clear();
    const { database } = fixture;
    const { query, tables } = database;
    await query.insert(tables.users).values(userRow('user'));
    await query.insert(tables.sessions).values(sessionRow('session', 'user'));
    await query.insert(tables.generations).values({ ...generationRow('generation', 'session', 1), status: 'running' });
    clock = createManualClock();
    away = false;
    owner = createGenerationOwner({
      database: {
        ...database,
        transaction: (run) => (away ? Promise.reject(new Error('away')) : database.transaction(run)),
      },
      store: createGenerationsStore(database),
      segments: createSegmentsStore(database),
      log: createMemoryLog({ clock, bufferMilliseconds: 60_000 }),
      clock,
      logger: silentLogger,
      probe: noProbe,
      instanceId: 'instance',
      leaseMilliseconds,
    });
    const position = { fence: 1, number: 1 };
    running = createRunningGeneration({ id: 'generation', sessionId: 'session', userId: 'user', fence: 1, position });
    work = Promise.withResolvers();
    owner.own(running, clock.now(), () => work.promise);
    away = true;
    await clock.advance(leaseMilliseconds);
  });

  afterEach(async () => {
    work.resolve();
    await owner.ended('generation');
    await owner.stop();
  });

  /** Asks for the confirmation and sees that there is none while the database is away. */
  async function confirm() {
    const told = vi.fn<(confirmed: boolean) => void>();
    const confirmed = owner.confirm(running);
    void confirmed.then(told);
    await clock.advance(2 * leaseMilliseconds);
    expect(told).not.toHaveBeenCalled();
    return {
      async whenBack() {
        away = false;
        // The next try begins; the clock stands while the database works on it, however long that takes.
        await clock.advance(1000);
        return confirmed;
      },
      confirmed,
    };
  }

  it('waits, and goes on where nobody has taken it', async () => {
    const { whenBack } = await confirm();
    expect(await whenBack()).toBe(true);
    expect(running.cancellation).toBeNull();
  });

  it('gives it up where the row says that another one has taken it', async () => {
    const { whenBack } = await confirm();
    const { query, tables } = fixture.database;
    await query
      .update(tables.generations)
      .set({ fence: 2, owner: 'other' })
      .where(eq(tables.generations.id, 'generation'));
    expect(await whenBack()).toBe(false);
    expect(running.cancellation).toBe('fenced');
  });

  it('does not keep who stops it waiting', async () => {
    const { confirmed } = await confirm();
    running.cancel('user');
    expect(await confirmed).toBe(false);
  });
});
