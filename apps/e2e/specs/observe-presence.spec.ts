import { once } from 'node:events';
import type { Clock } from '@chat-service/server/platform/clock';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { isAvailable } from '../../../packages/server/test/support/databases.ts';
import { openRawSql } from '../../../packages/server/test/support/raw-sql.ts';
import { patience } from '../src/call-for.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { isEndOfToken, tokenLife } from '../src/ending-tokens.ts';
import { createHandClock } from '../src/hand-clock.ts';
import { observe, openSupervisor } from '../src/observe.ts';
import { openRestStream } from '../src/rest.ts';
import { supervisedWorld, type Supervised } from '../src/supervised-world.ts';
import { openTrpcClient } from '../src/trpc-client.ts';

describeEachDatabase('an observation', (kind) => {
  const hand = createHandClock(isEndOfToken);
  /** Roles are looked at every 30 s; here every 300 ms. */
  const hasty: Clock = {
    now: hand.now,
    after: (milliseconds, callback) => hand.after(milliseconds === 30_000 ? 300 : milliseconds, callback),
  };
  let supervised: Supervised;
  beforeAll(async () => {
    supervised = await supervisedWorld({ kind, clock: hasty });
  });
  afterAll(() => supervised[Symbol.asyncDispose]());

  const looksAt = async (sessionId: string) =>
    (await supervised.entries()).filter((entry) => entry.sessionId === sessionId && entry.connectionId !== null);

  it('has one attach and one detach on record, however it ends', async () => {
    const { world } = supervised;
    const sessionId = await supervised.conversation('alice', 'record');
    await using sue = openSupervisor(world);
    const first = observe(sue.trpc, sessionId);
    await first.until('history-end');
    expect((await looksAt(sessionId)).map(({ action }) => action)).toEqual(['observe.attach']);
    first.leave();
    await vi.waitFor(async () => {
      const looks = await looksAt(sessionId);
      expect(looks.map(({ action }) => action)).toEqual(['observe.attach', 'observe.detach']);
      expect(new Set(looks.map(({ connectionId }) => connectionId)).size).toBe(1);
      expect(looks.every(({ actorId, subjectId }) => actorId === 'sue' && subjectId === 'alice')).toBe(true);
    }, patience);
    // A reconnect is a look of its own.
    const again = observe(sue.trpc, sessionId, first.told.at(-1)?.id);
    await again.until('connected');
    sue.cut();
    await again.until('connected', 2);
    await vi.waitFor(async () => {
      const actions = (await looksAt(sessionId)).map(({ action }) => action).toSorted();
      expect(actions).toEqual([...Array(3).fill('observe.attach'), ...Array(2).fill('observe.detach')]);
    }, patience);
    await world.trpc('alice').trpc.session.delete.mutate({ sessionId });
    await again.ended;
    await vi.waitFor(async () => expect(await looksAt(sessionId)).toHaveLength(6), patience);
    const { query, tables } = supervised.database;
    const left = await query.select().from(tables.observations);
    expect(left.filter((row) => row.sessionId === sessionId)).toEqual([]);
  });

  it('ends when its observer is no supervisor any more, and tells nothing after that', async () => {
    const { world } = supervised;
    const sessionId = await supervised.conversation('alice', 'role');
    await using client = openTrpcClient(world.url, () => world.token('pat', { role: 'supervisor', issuedIn: -60 }));
    const observer = observe(client.trpc, sessionId);
    await observer.until('history-end');
    // The Auth Service has taken the role away: a newer token says so.
    await world.trpc('pat').trpc.session.list.query();
    await observer.ended;
    expect(observer.told.at(-1)?.event).toEqual({ type: 'observer', status: 'ended', reason: 'role' });
    await world.trpc('alice').trpc.message.send.mutate({ sessionId, message: 'Unobserved' });
    expect(observer.kinds().at(-1)).toBe('ended');
    // The token of before opens nothing either.
    const refused = await openRestStream(world, `GET /api/chat/sessions/${sessionId}/observe`, {
      token: await world.token('pat', { role: 'supervisor', issuedIn: -60 }),
    });
    expect(refused.status).toBe(403);
  });

  it('says that its token ends, and goes on with the next one', async () => {
    const { world } = supervised;
    const sessionId = await supervised.conversation('alice', 'token');
    const token = () => world.token('sue', { role: 'supervisor', expiresIn: tokenLife });
    await using client = openTrpcClient(world.url, token);
    const observer = observe(client.trpc, sessionId);
    const { socket } = await client.connection(0);
    const closed = once(socket, 'close') as Promise<[number]>;
    await observer.until('history-end');
    // What is said just before the end, and then the end.
    hand.pass(isEndOfToken, 1);
    await observer.until('ended');
    hand.pass();
    const [code] = await closed;
    expect(code).toBe(4401);
    expect(observer.told.at(-1)?.event).toEqual({ type: 'observer', status: 'ended', reason: 'token' });
    await observer.until('connected', 2);
    const sent = await world.trpc('alice').trpc.message.send.mutate({ sessionId, message: 'With the next token' });
    await observer.until('done');
    expect(observer.text()).toBe(sent.message.content);
    expect(observer.kinds().filter((one) => one === 'history-start')).toHaveLength(1);
    const ids = observer.told.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)].toSorted());
    observer.leave();
  });

  it('ends with the server, whose shutdown writes so', async () => {
    const { world } = supervised;
    const sessionId = await supervised.conversation('alice', 'shutdown');
    await using sue = openSupervisor(world);
    const observer = observe(sue.trpc, sessionId);
    await observer.until('history-end');
    await world.restart();
    expect((await looksAt(sessionId)).map(({ action }) => action)).toEqual(['observe.attach', 'observe.detach']);
    observer.leave();
  });

  it('is not shown to the user unless the operator wants it', async () => {
    const { world } = supervised;
    const { trpc, sessionId, streamId, call } = await supervised.running('alice', 'not shown');
    const types: string[] = [];
    const ended = Promise.withResolvers<void>();
    trpc.message.follow.subscribe(
      { sessionId, streamId },
      { onData: ({ data }) => void types.push(data.type), onComplete: ended.resolve, onError: ended.reject },
    );
    await using sue = openSupervisor(world);
    const observer = observe(sue.trpc, sessionId);
    await observer.until('chunk');
    expect((await trpc.session.get.query({ sessionId })).session.observers).toBeNull();
    call.releaseAll();
    await ended.promise;
    expect(types).not.toContain('observed');
    observer.leave();
  });
});

describeEachDatabase('where users are shown who watches', (kind) => {
  let supervised: Supervised;
  beforeAll(async () => {
    supervised = await supervisedWorld({ kind, env: { SUPERVISION_NOTICE: 'on' } });
  });
  afterAll(() => supervised[Symbol.asyncDispose]());

  it('their streams tell it as it changes, and their sessions contain it', async () => {
    const { world } = supervised;
    const { trpc, sessionId, streamId, call } = await supervised.running('alice', 'shown');
    const told: { id: string; data: object & { type: string } }[] = [];
    const ended = Promise.withResolvers<void>();
    trpc.message.follow.subscribe(
      { sessionId, streamId },
      { onData: (event) => void told.push(event), onComplete: ended.resolve, onError: ended.reject },
    );
    const session: string[] = [];
    const following = trpc.session.follow.subscribe(
      { sessionId },
      { onData: ({ data }) => void session.push(JSON.stringify(data)), onError: ended.reject },
    );
    const observed = () => told.filter(({ data }) => data.type === 'observed').map(({ data }) => data);
    await vi.waitFor(() => expect(told.length).toBeGreaterThan(1), patience);
    expect((await trpc.session.list.query()).sessions[0]?.observers).toBe(0);
    await using sue = openSupervisor(world);
    const observer = observe(sue.trpc, sessionId);
    await observer.until('chunk');
    await vi.waitFor(() => expect(observed()).toEqual([{ type: 'observed', observers: 1 }]), patience);
    await vi.waitFor(() => expect(session).toContain('{"type":"observed","observers":1}'), patience);
    expect((await trpc.session.get.query({ sessionId })).session.observers).toBe(1);
    expect(observer.told[0]?.event).toMatchObject({ session: { observers: 1 } });
    const live = (await sue.trpc.supervisor.live.query()).sessions.find(({ session: { id } }) => id === sessionId);
    expect(live).toMatchObject({ observers: 1, session: { observers: 1 } });
    const ofUser = await sue.trpc.supervisor.userSession.query({ userId: live?.user.id ?? '', sessionId });
    expect(ofUser.session.observers).toBe(1);
    observer.leave();
    await vi.waitFor(() => expect(observed()).toHaveLength(2), patience);
    expect(observed()[1]).toEqual({ type: 'observed', observers: 0 });
    call.releaseAll();
    await ended.promise;
    expect(told.at(-1)?.data.type).toBe('done');
    const ids = told.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)].toSorted());
    following.unsubscribe();
  });

  it('a stream that goes on after a notice is told what has changed since, and nothing is lost', async () => {
    const { world } = supervised;
    const { sessionId, call } = await supervised.running('alice', 'resumed');
    await using sue = openSupervisor(world);
    const observer = observe(sue.trpc, sessionId);
    await observer.until('chunk');
    const stream = await openRestStream<{ type: string; observers?: number }>(
      world,
      `GET /api/chat/sessions/${sessionId}/stream`,
    );
    // The number may be known before the text is told, or after.
    await stream.until(3);
    const names = stream.events.map(({ name }) => name);
    expect(names.toSorted()).toEqual(['chunk', 'observed', 'start']);
    const notice = names.indexOf('observed');
    expect(stream.events[notice]?.data).toEqual({ type: 'observed', observers: 1 });
    stream.leave();
    observer.leave();
    const { id } = stream.events[notice] ?? { id: '' };
    const headers = { 'Last-Event-ID': id };
    const back = await openRestStream<{ type: string }>(world, `GET /api/chat/sessions/${sessionId}/stream`, {
      headers,
    });
    await vi.waitFor(
      () =>
        expect(back.events.findLast(({ name }) => name === 'observed')?.data).toEqual({
          type: 'observed',
          observers: 0,
        }),
      patience,
    );
    call.releaseAll();
    await back.over;
    const left = [...names.slice(notice + 1), 'chunk', 'done'];
    expect(back.events.map(({ name }) => name).filter((name) => name !== 'observed')).toEqual(left);
    expect(back.events.every((event) => event.id > id)).toBe(true);
  });
});

describe.skipIf(!isAvailable('postgres'))('observations on one Postgres', () => {
  let supervised: Supervised;
  beforeAll(async () => {
    // A test waits until that of a dead server has run out; one that is only slow must not lose its own.
    supervised = await supervisedWorld({ kind: 'postgres', env: { LEASE_SECONDS: '8' } });
  });
  afterAll(() => supervised[Symbol.asyncDispose]());

  it('have their attach committed before the first byte', async () => {
    const { world, entries } = supervised;
    const sessionId = await supervised.conversation('alice', 'locked');
    await using sql = openRawSql(world.databaseUrl);
    await sql.run('begin');
    await sql.run('lock table audit_log in access exclusive mode');
    const attaches = async () => (await entries()).filter((entry) => entry.sessionId === sessionId).length;
    let isOpen = false;
    const opening = openRestStream(world, `GET /api/chat/sessions/${sessionId}/observe`, {
      token: await world.token('sue', { role: 'supervisor' }),
    }).then((stream) => {
      isOpen = true;
      return stream;
    });
    // It waits for the log and holds nothing that the user needs.
    await vi.waitFor(async () => {
      const waiting = await sql.number(
        "select count(*) from pg_locks where not granted and relation = 'audit_log'::regclass",
      );
      expect(waiting).toBeGreaterThan(0);
    }, patience);
    await world.trpc('alice').trpc.message.send.mutate({ sessionId, message: 'Meanwhile' });
    expect(isOpen).toBe(false);
    await sql.run('rollback');
    const stream = await opening;
    await stream.until(1);
    expect(await attaches()).toBe(1);
    stream.leave();
  });

  it('see one another on two servers, and one that dies leaves its detach to the other', async () => {
    const { world } = supervised;
    const { sessionId, call } = await supervised.running('alice', 'elsewhere');
    await using here = openSupervisor(world);
    const first = observe(here.trpc, sessionId);
    await first.until('chunk');
    const other = await world.spawn();
    await using there = openSupervisor(world, 'root', other.url);
    const second = observe(there.trpc, sessionId);
    await second.until('chunk');
    expect(second.told[0]?.event).toMatchObject({ status: 'connected', observers: 2 });
    await first.until('live');
    expect(first.told.at(-1)?.event).toEqual({ type: 'observer', status: 'live', observers: 2 });
    call.releaseAll();
    await second.until('done');
    // It read what another instance had stored.
    expect(second.text()).toBe('One two three four');
    other.kill('SIGKILL');
    await first.untilIt((told) =>
      told.some(({ event }) => event.type === 'observer' && event.status === 'idle' && event.observers === 1),
    );
    await vi.waitFor(
      async () => {
        const looks = (await supervised.entries()).filter(
          (entry) => entry.sessionId === sessionId && entry.connectionId !== null && entry.actorId === 'root',
        );
        expect(looks.map(({ action }) => action)).toEqual(['observe.attach', 'observe.detach']);
      },
      { ...patience, interval: 50 },
    );
    second.leave();
    first.leave();
  });
});
