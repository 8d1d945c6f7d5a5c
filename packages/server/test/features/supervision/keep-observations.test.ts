import { asc, eq } from 'drizzle-orm';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Database, Tables } from '../../../src/db/database.ts';
import type { FollowSession } from '../../../src/features/generations/follow-session.ts';
import { formatHistoryId, isResumable } from '../../../src/features/generations/position.ts';
import { createToSession } from '../../../src/features/sessions/session-row.ts';
import { createObservations, type Observations } from '../../../src/features/supervision/observations.ts';
import type { IdentifiedObservationEvent } from '../../../src/features/supervision/observe-session.ts';
import { createObserverCounts, type ObserverCounts } from '../../../src/features/supervision/observer-counts.ts';
import { newUuid } from '../../../src/platform/ids.ts';
import { createManualClock, type ManualClock } from '../../platform/manual-clock.ts';
import { describeEachDatabase, silentLogger } from '../../support/databases.ts';
import { sessionRow, userRow } from '../../support/rows.ts';
import { eventually } from '../../support/eventually.ts';

const leaseMilliseconds = 15_000;
const heartbeat = leaseMilliseconds / 3;

/** A session in which nothing happens. */
const nothingHappens: FollowSession = async function* nothingHappens(_request, signal) {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  yield* [];
};

describeEachDatabase('the observations of an instance', (fixture) => {
  let clock: ManualClock;
  let sessionId: string;
  let instances: { observations: Observations; counts: ObserverCounts }[];
  beforeEach(async () => {
    clock = createManualClock();
    instances = [];
    sessionId = newUuid();
    const { query, tables } = fixture.database;
    await query.delete(tables.observations);
    await fixture.clear();
    await query.insert(tables.users).values([userRow('user'), { ...userRow('sue'), role: 'supervisor' }]);
    await query.insert(tables.sessions).values(sessionRow(sessionId, 'user'));
  });
  afterEach(async () => {
    for (const { observations, counts } of instances) {
      await observations.stop();
      await counts.stop();
    }
  });

  function instance(
    database: Database = fixture.database,
    { lease = leaseMilliseconds, followSession = nothingHappens } = {},
  ): Observations {
    const options = { database, clock, logger: silentLogger, newId: newUuid };
    const counts = createObserverCounts(options);
    const toSession = createToSession('demo');
    const observations = createObservations({
      ...options,
      counts,
      toSession,
      leaseMilliseconds: lease,
      notice: false,
      followSession,
    });
    instances.push({ observations, counts });
    return observations;
  }

  /** Comes, and is told who else is there. */
  async function attach(observations: Observations, signal = new AbortController().signal, tokenSeconds = 3600) {
    const observer = { userId: 'sue', role: 'supervisor' as const, expiresAt: clock.now() / 1000 + tokenSeconds };
    const events = await observations.observeSession({ sessionId, observer, requestId: 'request' }, signal);
    return { events, first: (await events.next()).value };
  }

  const open = () => fixture.database.query.select().from(fixture.database.tables.observations);
  async function actions(): Promise<string[]> {
    const { query, tables } = fixture.database;
    const { auditLog } = tables;
    const rows: Tables['auditLog']['$inferSelect'][] = await query
      .select()
      .from(auditLog)
      .where(eq(auditLog.sessionId, sessionId))
      .orderBy(asc(auditLog.id));
    return rows.map(({ action }) => action).toSorted();
  }
  const whole = ['observe.attach', 'observe.detach'];
  const runOut = async () => {
    const { query, tables } = fixture.database;
    await query.update(tables.observations).set({ leaseExpiresAt: new Date(0) });
  };
  const never = new AbortController().signal;

  it('are counted while their leases run, and kept by one statement a heartbeat', async () => {
    const update = vi.fn<Database['query']['update']>();
    const { query } = fixture.database;
    const counted: Database['query'] = new Proxy(query, {
      get(target, key, receiver): unknown {
        if (key === 'update') update(undefined as never);
        return Reflect.get(target, key, receiver);
      },
    });
    const here = instance({ ...fixture.database, query: counted });
    expect((await attach(here)).first).toMatchObject({ event: { status: 'connected', observers: 1 } });
    expect((await attach(here)).first).toMatchObject({ event: { status: 'connected', observers: 2 } });
    await runOut();
    expect((await attach(instance())).first).toMatchObject({ event: { observers: 1 } });
    await clock.advance(heartbeat);
    expect(update).toHaveBeenCalledTimes(1);
    await eventually(async () => {
      expect((await open()).every(({ leaseExpiresAt }) => leaseExpiresAt.getTime() > Date.now())).toBe(true);
    });
  });

  it('end for an instance that was taken for dead, and are written as ended once', async () => {
    const [here, other, third] = [instance(), instance(), instance()];
    const { events } = await attach(here);
    await runOut();
    await Promise.all([other.sweepObservations(never), third.sweepObservations(never)]);
    expect(await actions()).toEqual(whole);
    const last = events.next();
    await clock.advance(heartbeat);
    expect((await last).value).toMatchObject({ event: { status: 'ended', reason: 'unavailable' } });
    expect(await events.next()).toEqual({ done: true, value: undefined });
    await here.stop();
    expect(await actions()).toEqual(whole);
  });

  it.each([
    ['tell a change between the first word and the history', { fence: 7, number: 1 }, ['session-updated']],
    ['tell none where there was none', { fence: 0, number: 0 }, []],
  ])('%s', async (_name, position, told) => {
    const followSession: FollowSession = async function* followSession() {
      yield { id: formatHistoryId(sessionId, position, 0), event: { type: 'history-start', count: 0, total: 0 } };
      yield { id: formatHistoryId(sessionId, position, 'end'), event: { type: 'history-end' } };
      yield* [];
    };
    const { events, first } = await attach(instance(fixture.database, { followSession }));
    expect(first).toMatchObject({ event: { status: 'connected', session: { title: null } } });
    const { query, tables } = fixture.database;
    await query.update(tables.sessions).set({ title: 'Meanwhile' }).where(eq(tables.sessions.id, sessionId));
    const rest: IdentifiedObservationEvent[] = [];
    for await (const event of events) rest.push(event);
    expect(rest.map(({ event }) => event.type)).toEqual(['history-start', 'history-end', ...told]);
    if (told.length > 0) expect(rest.at(-1)?.event).toMatchObject({ session: { title: 'Meanwhile' } });
    const ids = rest.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)].toSorted());
    expect(isResumable(ids.at(-1) ?? '')).toBe(true);
  });

  it('are left alone by the sweeper while their leases run', async () => {
    await attach(instance());
    await instance().sweepObservations(never);
    expect(await open()).toHaveLength(1);
    expect(await actions()).toEqual(['observe.attach']);
  });

  it('are all ended by a server that starts with the database to itself', async () => {
    await attach(instance());
    await attach(instance());
    const alone = instance();
    await alone.sweepAtStartAlone();
    expect(await open()).toHaveLength(0);
    expect(await actions()).toEqual([...whole, ...whole].toSorted());
    expect((await attach(alone)).first).toMatchObject({ event: { status: 'connected', observers: 1 } });
  });

  it('end when the database has been away for longer than the lease, and leave their end to the sweeper', async () => {
    let isAway = false;
    const { query, transaction } = fixture.database;
    const away = () => Promise.reject(new Error('The database is away.'));
    const database: Database = {
      ...fixture.database,
      query: new Proxy(query, {
        get(target, key, receiver): unknown {
          if (isAway) throw new Error('The database is away.');
          return Reflect.get(target, key, receiver);
        },
      }),
      transaction: (work) => (isAway ? away() : transaction(work)),
    };
    const { events } = await attach(instance(database));
    isAway = true;
    const last = events.next();
    await clock.advance(leaseMilliseconds + heartbeat);
    expect((await last).value).toMatchObject({ event: { status: 'ended', reason: 'unavailable' } });
    expect(await actions()).toEqual(['observe.attach']);
    await runOut();
    await instance().sweepObservations(never);
    expect(await actions()).toEqual(whole);
  });

  it('end when the role does, also of an observer who does not read', async () => {
    // Longer than the clock jumps: no lease runs out meanwhile.
    const here = instance(fixture.database, { lease: 120_000 });
    const { events } = await attach(here);
    await attach(here);
    const { query, tables } = fixture.database;
    await query.update(tables.users).set({ role: 'enduser' }).where(eq(tables.users.id, 'sue'));
    const last = events.next();
    await clock.advance(30_000);
    expect((await last).value).toMatchObject({ event: { status: 'ended', reason: 'role' } });
    expect(await events.next()).toEqual({ done: true, value: undefined });
    await eventually(async () => expect(await actions()).toEqual(whole.flatMap((action) => [action, action])));
    await expect(attach(here)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });

  it('tell the end of the token just before it, and then nothing until the connection is closed', async () => {
    const leaving = new AbortController();
    // It is taken for 30 s after its end.
    const { events } = await attach(instance(), leaving.signal, -26);
    const last = events.next();
    await clock.advance(2999);
    expect(await open()).toHaveLength(1);
    await clock.advance(1);
    const { value } = await last;
    expect(value).toMatchObject({ event: { status: 'ended', reason: 'token' } });
    const over = events.next();
    let isOver = false;
    void over.then(() => (isOver = true));
    await clock.advance(60_000);
    expect(isOver).toBe(false);
    leaving.abort();
    expect(await over).toEqual({ done: true, value: undefined });
    await eventually(async () => expect(await actions()).toEqual(whole));
  });

  it('end when their observer leaves, whether or not anything was read', async () => {
    const here = instance();
    const leaving = new AbortController();
    await attach(here, leaving.signal);
    leaving.abort();
    await eventually(async () => expect(await actions()).toEqual(whole));
    // One who has left before the look was written down.
    await attach(here, leaving.signal);
    await eventually(async () => expect(await actions()).toHaveLength(4));
    expect(await open()).toEqual([]);
  });

  it('are written as ended at shutdown', async () => {
    const here = instance();
    await Promise.all([attach(here), attach(here), attach(here)]);
    await here.stop();
    expect(await open()).toEqual([]);
    expect(await actions()).toHaveLength(6);
  });
});
