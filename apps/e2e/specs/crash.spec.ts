import type { ProbePoint } from '@chat-service/server/features/generations/probe';
import { isTerminalEvent } from '@chat-service/shared/events';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { DatabaseKind } from '../../../packages/server/test/support/databases.ts';
import { openRawSql } from '../../../packages/server/test/support/raw-sql.ts';
import { patience } from '../src/call-for.ts';
import { collect, textOf } from '../src/collect.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { createHandClock } from '../src/hand-clock.ts';
import { openInvariants, type Invariants } from '../src/invariants.ts';
import type { ServerProcess } from '../src/server-child.ts';
import { openTrpcClient } from '../src/trpc-client.ts';
import { startWorld, type World } from '../src/world.ts';

interface Crash {
  readonly name: string;
  /** Null: it is killed from outside once the provider has the call. */
  readonly point: ProbePoint | null;
  readonly nth?: number;
  /** What may be stored of "abc"; null: it was not admitted. */
  readonly stored: readonly string[] | null;
  /** Everything is sent once the first chunk is checkpointed; otherwise the provider waits after it. */
  readonly goesOn?: boolean;
}

const crashes: readonly Crash[] = [
  { name: 'claiming', point: 'claiming', stored: null },
  { name: 'claimed', point: 'claimed', stored: null },
  { name: 'admitting', point: 'admitting', stored: null },
  { name: 'admitted', point: 'admitted', stored: [''] },
  { name: 'provider-called', point: 'provider-called', stored: [''] },
  { name: 'the provider having the call', point: null, stored: [''] },
  { name: 'the first streaming', point: 'streaming', stored: [''] },
  { name: 'checkpointing', point: 'checkpointing', stored: [''] },
  { name: 'checkpointed', point: 'checkpointed', stored: ['a'] },
  { name: 'the third streaming', point: 'streaming', nth: 3, stored: ['a', 'ab'], goesOn: true },
  { name: 'ending', point: 'ending', stored: ['a', 'ab', 'abc'], goesOn: true },
  { name: 'ended', point: 'ended', stored: ['abc'], goesOn: true },
  { name: 'published', point: 'published', stored: ['abc'], goesOn: true },
];

/** What differs between the databases is what a transaction leaves behind: a short run tries that on Postgres, all the rest on SQLite. */
const { SOAK: soak } = process.env;
const inTransactions = ['claimed', 'admitting', 'the third streaming', 'ending', 'ended'];
const crashesOn = (kind: DatabaseKind) =>
  kind === 'sqlite' || soak !== undefined ? crashes : crashes.filter(({ name }) => inTransactions.includes(name));

/** So long that none runs out by itself; a third of it lies between two looks for those that have. */
const leaseSeconds = 600;
const isLook = (milliseconds: number) => milliseconds > 190_000 && milliseconds <= (leaseSeconds * 1000) / 3;

describeEachDatabase('SIGKILL', (kind) => {
  const clock = createHandClock(isLook);
  let world: World;
  let invariants: Invariants;
  /** Of a SQLite file: the server that has recovered from one crash is the one to crash next. */
  let lone: ServerProcess | undefined;
  beforeAll(async () => {
    const env = { LEASE_SECONDS: `${leaseSeconds}` };
    world = await startWorld({ kind, clock, env, serve: kind === 'postgres' });
    if (kind === 'sqlite') lone = await world.spawn();
    invariants = await openInvariants(world);
  });
  afterAll(() => world[Symbol.asyncDispose]());

  async function crash({ name, point, nth, stored, goesOn }: Crash) {
    await using victim = lone ?? (await world.spawn());
    await using connection = openTrpcClient(victim.url, () => world.token(name));
    const { trpc } = connection;
    const { sessionId } = await trpc.session.create.mutate({});
    const message = `Killed at ${name}`;
    const hold = stored === null ? [] : point === null ? [0] : [1];
    // Of an empty answer nothing is told the model: the question comes again, before the next one.
    world.openai.script(new RegExp(`^${message}$`, 'u'), { chunks: ['a', 'b', 'c'], hold });
    if (point !== null) await victim.arm({ killAt: { point, ...(nth !== undefined && { nth }) } });
    const request = { sessionId, message, idempotencyKey: 'the only one' };
    const reader = collect((subscriber) => trpc.message.stream.subscribe(request, subscriber));
    const called = () => world.openai.calls.filter((call) => call.lastUserMessage === message);
    if (point === null) {
      await vi.waitFor(() => expect(called()).toHaveLength(1), { ...patience, interval: 10 });
      victim.kill('SIGKILL');
    }
    if (goesOn === true) {
      const checkpointed = async () => {
        const { segments } = await invariants.rows(sessionId);
        expect(segments.map(({ text }) => text)).toEqual(['a']);
      };
      await vi.waitFor(checkpointed, { ...patience, interval: 20 });
      called()[0]?.releaseAll();
    }
    expect(await victim.exited).toBe('SIGKILL');
    reader.unsubscribe();
    return { request, reader, called };
  }

  /** The address of a server after the crash. */
  async function recover(sessionId: string): Promise<string> {
    if (kind === 'sqlite') {
      lone = await world.spawn();
      return lone.url;
    }
    // Whoever is dead has its lease no more.
    await using sql = openRawSql(world.databaseUrl);
    await sql.run(`update generations set lease_expires_at = to_timestamp(0) where session_id = '${sessionId}'`);
    await clock.passUntil(invariants.settled(sessionId));
    return world.url;
  }

  // On Postgres the crashes go on side by side, each in a process of its own, beside one server that survives.
  describe('at a moment of the life of an answer', { concurrent: kind === 'postgres' }, () => {
    it.each(crashesOn(kind))('$name: the next server puts everything right', async (plan) => {
      const { request, reader, called } = await crash(plan);
      const { sessionId, message } = request;
      await using connection = openTrpcClient(await recover(sessionId), () => world.token(plan.name));
      const { trpc } = connection;

      const calls = called().length;
      const { generations, messages } = await invariants.check(sessionId, [reader]);
      const read = await trpc.session.get.query({ sessionId });
      expect(read.session).toMatchObject({ status: 'idle', activeStreamId: null, messageCount: messages.length });
      const readers = [reader];

      if (plan.stored === null) {
        expect([messages, reader.events, calls]).toEqual([[], [], 0]);
        const sent = await trpc.message.send.mutate(request);
        expect(sent).toMatchObject({
          userMessage: { content: message },
          message: { content: 'abc', status: 'complete' },
        });
        expect(called()).toHaveLength(1);
      } else {
        expect(generations).toHaveLength(1);
        const [question, answer] = read.messages;
        expect(question).toMatchObject({ role: 'user', content: message });
        const whole = plan.point === 'ended' || plan.point === 'published';
        expect(answer).toMatchObject({ role: 'assistant', status: whole ? 'complete' : 'interrupted' });
        expect(plan.stored).toContain(answer?.content);

        const last = reader.events.at(-1);
        const again = collect((subscriber) =>
          trpc.message.stream.subscribe({ ...request, ...(last && { lastEventId: last.id }) }, subscriber),
        );
        const late = collect((subscriber) => trpc.message.follow.subscribe({ sessionId }, subscriber));
        await Promise.all([again.done, late.done]);
        expect(late.events.map(({ event }) => event.type)).toEqual([
          'start',
          ...(answer?.content === '' ? [] : ['chunk']),
          whole ? 'done' : 'error',
        ]);
        const hadEnd = last !== undefined && isTerminalEvent(last.event);
        expect(again.events.at(-1)?.event).toEqual(hadEnd ? undefined : late.events.at(-1)?.event);
        if (last !== undefined && !hadEnd) expect((again.events[0]?.id ?? '') > last.id).toBe(true);
        readers.push(late, Object.assign(again, { text: textOf(reader.events) }));

        const sent = trpc.message.send.mutate(request);
        if (whole) expect(await sent).toEqual({ userMessage: question, message: answer, usage: answer?.usage });
        else {
          const ids = { streamId: answer?.id, userMessageId: question?.id };
          await expect(sent).rejects.toMatchObject({ data: { code: 'INTERRUPTED', httpStatus: 502, ...ids } });
        }
        expect(called()).toHaveLength(calls);
      }
      await invariants.check(sessionId, readers);

      const next = await trpc.message.send.mutate({ sessionId, message: `After ${plan.name}` });
      expect(next.message.status).toBe('complete');
      await invariants.check(sessionId, readers);
    });
  });

  it('holds for the whole database afterwards', async () => {
    const { sessions, generations } = await invariants.check();
    expect(sessions).toHaveLength(crashesOn(kind).length);
    expect(generations.length).toBeGreaterThanOrEqual(2 * crashesOn(kind).length);
  });
});
