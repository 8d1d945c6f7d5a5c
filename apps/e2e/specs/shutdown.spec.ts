import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { patience } from '../src/call-for.ts';
import { collect, textOf, type Collected } from '../src/collect.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { createGates, type Gates } from '../src/gates.ts';
import { createHandClock } from '../src/hand-clock.ts';
import { openInvariants } from '../src/invariants.ts';
import type { ServerProcess } from '../src/server-child.ts';
import { cutsShutdownShort } from '../src/shutdown-timers.ts';
import { startWorld, type World } from '../src/world.ts';

const chunks = ['One', ' two', ' three'];

async function readiness(url: string): Promise<number> {
  const { status } = await fetch(`${url}/api/health/ready`);
  return status;
}

describeEachDatabase('SIGTERM', (kind) => {
  let world: World;
  beforeEach(async () => {
    world = await startWorld({ kind, serve: false });
  });
  afterEach(() => world[Symbol.asyncDispose]());

  /** A server with an answer that has its first two chunks and waits for the third. */
  async function serveAndStream(graceSeconds: number) {
    const env = { SHUTDOWN_GRACE_SECONDS: String(graceSeconds) };
    const server = await world.spawn({ env, isUnhurried: true });
    const { trpc } = world.trpc('alice', server.url);
    world.openai.script('Take your time', { chunks, hold: [2] });
    const { sessionId } = await trpc.session.create.mutate({});
    const request = { sessionId, message: 'Take your time', idempotencyKey: 'unhurried' };
    const reader = collect((subscriber) => trpc.message.stream.subscribe(request, subscriber));
    const call = await world.openai.call(0);
    await call.reached(2);
    await reader.until(1);
    await vi.waitFor(() => expect(textOf(reader.events)).toBe('One two'), { ...patience, interval: 5 });
    return { server, trpc, sessionId, reader, call };
  }

  async function turnAway(server: ServerProcess): Promise<void> {
    expect(await readiness(server.url)).toBe(200);
    server.kill('SIGTERM');
    await vi.waitFor(async () => expect(await readiness(server.url)).toBe(503), { ...patience, interval: 10 });
  }

  it('lets a running answer end, takes nothing new, and goes on answering', async () => {
    const { server, trpc, sessionId, reader, call } = await serveAndStream(300);
    const { sessionId: otherId } = await trpc.session.create.mutate({});
    await turnAway(server);

    for (const live of ['/api/health/live', '/api/health']) {
      expect((await fetch(server.url + live)).status).toBe(live.endsWith('live') ? 200 : 503);
    }
    const shuttingDown = { data: { code: 'SHUTTING_DOWN', httpStatus: 503, retryAfter: expect.any(Number) } };
    const refused = { sessionId: otherId, message: 'Too late', idempotencyKey: 'too late' };
    await expect(trpc.message.send.mutate(refused)).rejects.toMatchObject(shuttingDown);
    await expect(trpc.message.start.mutate(refused)).rejects.toMatchObject(shuttingDown);
    const stream = collect((subscriber) => trpc.message.stream.subscribe(refused, subscriber));
    await expect(stream.done).rejects.toMatchObject(shuttingDown);
    const read = await trpc.session.get.query({ sessionId });
    expect(read.session).toMatchObject({ status: 'streaming', messageCount: 2 });
    const newcomer = world.trpc('alice', server.url);
    const follower = collect((subscriber) => newcomer.trpc.message.follow.subscribe({ sessionId }, subscriber));
    await follower.until(1);

    call.release();
    await Promise.all([reader.done, follower.done]);
    for (const { events } of [reader, follower]) {
      expect(events.at(-1)?.event).toMatchObject({ type: 'done', finishReason: 'stop' });
      expect(textOf(events)).toBe('One two three');
    }
    expect(await server.exited).toBe(0);
    await call.ended;
    expect(call.state).toBe('finished');
    const invariants = await openInvariants(world);
    const { messages } = await invariants.check(undefined, [reader, follower]);
    expect(messages.map(({ content }) => content)).toEqual(['Take your time', 'One two three']);
  });

  it('stores an answer that outlasts the grace as interrupted, and says so', async () => {
    const { server, sessionId, reader, call } = await serveAndStream(0);
    server.kill('SIGTERM');
    await reader.done;
    expect(reader.events.at(-1)?.event).toMatchObject({
      type: 'error',
      error: { code: 'INTERRUPTED', retryable: true },
      message: { status: 'interrupted', content: 'One two', error: { code: 'INTERRUPTED' } },
    });
    expect(await server.exited).toBe(0);
    await call.ended;
    expect(call.state).toBe('cancelled');
    const invariants = await openInvariants(world);
    const { messages } = await invariants.check(sessionId, [reader]);
    expect(messages.map(({ status, content }) => [status, content])).toEqual([
      ['complete', 'Take your time'],
      ['interrupted', 'One two'],
    ]);
  });
});

describeEachDatabase('an answer that is being admitted when the server shuts down', (kind) => {
  let gates: Gates;
  let world: World;
  beforeEach(() => {
    gates = createGates();
  });
  afterEach(() => world[Symbol.asyncDispose]());

  async function serve(graceSeconds: number): Promise<void> {
    const clock = createHandClock(cutsShutdownShort);
    const env = { SHUTDOWN_GRACE_SECONDS: String(graceSeconds) };
    world = await startWorld({ kind, clock, probe: gates.probe, env });
  }

  async function admit(message: string) {
    const { trpc } = world.trpc();
    const { sessionId } = await trpc.session.create.mutate({});
    const admitting = gates.hold('admitting');
    const request = { sessionId, message, idempotencyKey: message };
    const reader = collect((subscriber) => trpc.message.stream.subscribe(request, subscriber));
    await admitting.reached;
    return { reader, admitting };
  }

  function expectInterrupted({ events }: Collected): void {
    expect(events.at(-1)?.event).toMatchObject({ type: 'error', error: { code: 'INTERRUPTED' } });
  }

  it('is waited for', async () => {
    await serve(300);
    const { reader, admitting } = await admit('In time');
    const drained = world.app.drain();
    admitting.release();
    expect(await drained).toEqual({ clean: true });
    await reader.done;
    expect(reader.events.at(-1)?.event).toMatchObject({ type: 'done', finishReason: 'stop' });
    const invariants = await openInvariants(world);
    const { generations } = await invariants.check(undefined, [reader]);
    expect(generations).toMatchObject([{ status: 'complete' }]);
  });

  it('is interrupted at once when that takes longer than the grace', async () => {
    await serve(0);
    world.openai.script('Running', { chunks, hold: [2] });
    world.openai.script('Late', { chunks, hold: [2] });
    const running = await admit('Running');
    running.admitting.release();
    await running.reader.until(1);
    const late = await admit('Late');
    const drained = world.app.drain();
    await running.reader.done;
    expectInterrupted(running.reader);
    late.admitting.release();
    expect(await drained).toEqual({ clean: true });
    const invariants = await openInvariants(world);
    const { generations } = await invariants.check(undefined, [running.reader, late.reader]);
    expect(generations.map(({ status }) => status)).toEqual(['interrupted', 'interrupted']);
  });
});

describe('a second server on one SQLite file', () => {
  it('waits out the grace, then gives up and says why', async () => {
    await using world = await startWorld({ kind: 'sqlite' });
    const second = world.spawn({ env: { SHUTDOWN_GRACE_SECONDS: '1' } });
    await expect(second).rejects.toThrow(/ended \(1\)[^]*in use by another server[^]*Only one server/u);
    const { trpc } = world.trpc();
    const { sessionId } = await trpc.session.create.mutate({});
    const sent = await trpc.message.send.mutate({ sessionId, message: 'Still there?' });
    expect(sent.message.status).toBe('complete');
  });

  it('takes over what the first one has finished', async () => {
    await using world = await startWorld({ kind: 'sqlite', serve: false });
    const first = await world.spawn({ env: { SHUTDOWN_GRACE_SECONDS: '300' } });
    const { trpc } = world.trpc('alice', first.url);
    world.openai.script('Before the restart', { chunks, hold: [2] });
    const { sessionId } = await trpc.session.create.mutate({});
    const { streamId } = await trpc.message.start.mutate({ sessionId, message: 'Before the restart' });
    const call = await world.openai.call(0);
    await call.reached(2);
    first.kill('SIGTERM');
    const starting = world.spawn({ env: { SHUTDOWN_GRACE_SECONDS: '300' } });
    call.release();
    expect(await first.exited).toBe(0);
    const second = await starting;
    const { messages } = await world.trpc('alice', second.url).trpc.session.get.query({ sessionId });
    expect(messages[1]).toMatchObject({ id: streamId, status: 'complete', content: 'One two three' });
  });
});
