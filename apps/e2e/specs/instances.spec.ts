import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { isAvailable } from '../../../packages/server/test/support/databases.ts';
import { patience } from '../src/call-for.ts';
import { collect, textOf, type Collected } from '../src/collect.ts';
import { openInvariants, type Invariants } from '../src/invariants.ts';
import type { ServerProcess } from '../src/server-child.ts';
import type { TrpcConnection } from '../src/trpc-client.ts';
import { startWorld, type World } from '../src/world.ts';

type Trpc = TrpcConnection['trpc'];

const chunks = ['One', ' two', ' three', ' four'];

describe.skipIf(!isAvailable('postgres'))('two processes on one Postgres', () => {
  let world: World;
  let invariants: Invariants;
  /** The server in this process, and another one. */
  let here: Trpc;
  let other: ServerProcess;
  let there: Trpc;
  beforeAll(async () => {
    // Twice a test waits until one has run out; a server that is only slow must not lose its own.
    world = await startWorld({ kind: 'postgres', env: { LEASE_SECONDS: '8' } });
    invariants = await openInvariants(world);
    here = world.trpc().trpc;
    await startOther();
  });
  afterAll(() => world[Symbol.asyncDispose]());

  async function startOther(): Promise<void> {
    other = await world.spawn();
    there = world.trpc('alice', other.url).trpc;
  }

  /** An answer of `owner` that waits before its chunk `count`, with a reader there that has all before it. */
  async function streamFrom(owner: Trpc, message: string, count: number, hold: number[] = [count]) {
    const { sessionId } = await owner.session.create.mutate({});
    const index = world.openai.calls.length;
    world.openai.script(new RegExp(`^${message}$`, 'u'), { chunks, hold });
    const request = { sessionId, message, idempotencyKey: message };
    const reader = collect((subscriber) => owner.message.stream.subscribe(request, subscriber));
    const call = await world.openai.call(index);
    await call.reached(count);
    await hasText(reader, count);
    const streamId = reader.events[0]?.event.streamId ?? '';
    return { sessionId, request, reader, call, streamId };
  }

  function follow(trpc: Trpc, sessionId: string, lastEventId?: string): Collected {
    const request = { sessionId, ...(lastEventId !== undefined && { lastEventId }) };
    return collect((subscriber) => trpc.message.follow.subscribe(request, subscriber));
  }

  async function hasText(reader: Collected, count: number): Promise<void> {
    const text = chunks.slice(0, count).join('');
    await reader.until(1);
    await vi.waitFor(() => expect(textOf(reader.events)).toBe(text), { ...patience, interval: 10 });
  }

  it('show what the other one writes, without a gap, to its end', async () => {
    const { sessionId, reader, call } = await streamFrom(here, 'Followed elsewhere', 0, [0, 1, 3]);
    const follower = follow(there, sessionId);
    await follower.until(1);
    expect(follower.events[0]).toEqual(reader.events[0]);
    // Once the end of another answer has been seen there, the rows of this one have been looked at before its first text.
    const brief = await streamFrom(here, 'Ends meanwhile', 0);
    const briefFollower = follow(there, brief.sessionId);
    await briefFollower.until(1);
    brief.call.release();
    await briefFollower.done;
    call.release();
    await hasText(follower, 1);
    call.release();
    await hasText(follower, 3);
    await hasText(reader, 3);
    const resumed = follow(there, sessionId, reader.events[2]?.id);
    await resumed.until(1);
    const late = follow(there, sessionId);
    await hasText(late, 3);
    call.release();
    await Promise.all([reader.done, follower.done, resumed.done, late.done]);
    for (const { events } of [follower, resumed, late]) expect(events.at(-1)).toEqual(reader.events.at(-1));
    expect(follower.events.map(({ event }) => event.type)).not.toContain('resync');
    const known = { ...resumed, text: textOf(reader.events.slice(0, 3)) };
    await invariants.check(sessionId, [reader, follower, late, known]);
    expect(world.openai.calls.filter(({ lastUserMessage }) => lastUserMessage === 'Followed elsewhere')).toHaveLength(
      1,
    );
  });

  it('stop each other through the row', async () => {
    const { sessionId, reader, call, streamId } = await streamFrom(here, 'Stopped elsewhere', 2);
    const stopped = there.message.stop.mutate({ sessionId });
    // Whoever names no answer is told of none once it is over.
    await vi.waitFor(async () => {
      const { generations } = await invariants.rows(sessionId);
      expect(generations[0]?.stopRequestedBy).toBe('user');
    }, patience);
    const [first, second] = await Promise.all([stopped, there.message.stop.mutate({ sessionId, streamId })]);
    expect(first.message).toMatchObject({ id: streamId, status: 'stopped', stoppedBy: 'user', content: 'One two' });
    expect(second).toEqual(first);
    await call.ended;
    expect(call.state).toBe('cancelled');
    await reader.done;
    expect(reader.events.at(-1)?.event).toMatchObject({
      type: 'done',
      finishReason: 'stopped',
      message: first.message,
    });
    const next = await there.message.send.mutate({ sessionId, message: 'On the other side' });
    expect(next.message.status).toBe('complete');
    await invariants.check(sessionId, [reader]);
  });

  it('delete a session that the other one writes to', async () => {
    const { sessionId, reader, call } = await streamFrom(here, 'Deleted elsewhere', 2);
    const follower = follow(there, sessionId);
    await follower.until(1);
    await there.session.delete.mutate({ sessionId });
    await call.ended;
    expect(call.state).toBe('cancelled');
    await Promise.all([reader.done, follower.done]);
    const { sessions, messages, generations, segments } = await invariants.rows(sessionId);
    expect([sessions, messages, generations, segments]).toEqual([[], [], [], []]);
    const gone = { data: { code: 'NOT_FOUND', httpStatus: 404 } };
    for (const trpc of [here, there]) {
      await expect(trpc.session.get.query({ sessionId })).rejects.toMatchObject(gone);
      await expect(follow(trpc, sessionId, reader.events[1]?.id).done).rejects.toMatchObject(gone);
    }
  });

  it('leave each other alone when one restarts', async () => {
    const { sessionId, reader, call } = await streamFrom(here, 'Not yours', 2);
    const before = (await invariants.rows(sessionId)).generations[0];
    other.kill('SIGTERM');
    expect(await other.exited).toBe(0);
    await startOther();
    const read = await there.session.get.query({ sessionId });
    expect(read.session.status).toBe('streaming');
    const { status, owner, fence } = (await invariants.rows(sessionId)).generations[0] ?? {};
    expect({ status, owner, fence }).toEqual({ status: 'running', owner: before?.owner, fence: before?.fence });
    call.release();
    await reader.done;
    expect(reader.events.at(-1)?.event).toMatchObject({ type: 'done', message: { content: 'One two three four' } });
    await invariants.check(sessionId, [reader]);
  });

  it('take nothing from one that wakes after its lease', async () => {
    const { sessionId, request, reader, call } = await streamFrom(there, 'Frozen', 2, [2, 3]);
    other.kill('SIGSTOP');
    await invariants.settled(sessionId);
    const { messages } = await here.session.get.query({ sessionId });
    expect(messages[1]).toMatchObject({ status: 'interrupted', error: { code: 'INTERRUPTED' } });
    const next = await here.message.send.mutate({ sessionId, message: 'Meanwhile' });
    expect(next.message.status).toBe('complete');
    const settled = await invariants.check(sessionId);

    call.releaseAll();
    await call.reached(chunks.length);
    other.kill('SIGCONT');
    await reader.done;
    const types = reader.events.map(({ event }) => event.type);
    expect(types.slice(types.indexOf('resync'))).toEqual(['resync', 'error']);
    expect(reader.events.at(-1)?.event).toMatchObject({ type: 'error', message: messages[1] });
    const { messages: seenThere } = await there.session.get.query({ sessionId });
    expect(seenThere.slice(0, 2)).toEqual(messages);
    await expect(there.message.send.mutate(request)).rejects.toMatchObject({ data: { code: 'INTERRUPTED' } });
    expect(await invariants.check(sessionId, [reader])).toEqual(settled);
    const after = await there.message.send.mutate({ sessionId, message: 'Back again' });
    expect(after.message.status).toBe('complete');
    await invariants.check(sessionId, [reader]);
  });

  it('recover what one that died has left', async () => {
    const { sessionId, request, reader } = await streamFrom(there, 'Orphaned', 2);
    const follower = follow(here, sessionId);
    await hasText(follower, 2);
    other.kill('SIGKILL');
    await follower.done;
    reader.unsubscribe();
    expect(follower.events.at(-1)?.event).toMatchObject({
      type: 'error',
      error: { code: 'INTERRUPTED' },
      message: { status: 'interrupted', content: 'One two' },
    });
    const resumed = follow(here, sessionId, reader.events[1]?.id);
    await resumed.done;
    expect(resumed.events.at(-1)).toEqual(follower.events.at(-1));
    await expect(here.message.send.mutate(request)).rejects.toMatchObject({ data: { code: 'INTERRUPTED' } });
    const next = await here.message.send.mutate({ sessionId, message: 'After the death' });
    expect(next.message.status).toBe('complete');
    await invariants.check(sessionId, [reader, follower, { ...resumed, text: textOf(reader.events.slice(0, 2)) }]);
  });

  it('leave the whole database in order', async () => {
    const { sessions } = await invariants.check();
    expect(sessions).toHaveLength(6);
  });
});
