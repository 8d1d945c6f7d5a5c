import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { patience } from '../src/call-for.ts';
import { collect, textOf } from '../src/collect.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { createGates, type Gates } from '../src/gates.ts';
import { createHandClock, type HandClock } from '../src/hand-clock.ts';
import { openInvariants, type Invariants } from '../src/invariants.ts';
import type { TrpcConnection } from '../src/trpc-client.ts';
import { startWorld, type World } from '../src/world.ts';

// An owner that waits at a gate is one that was frozen there: its lease runs out, and it comes back too late.
describeEachDatabase('an owner that comes back too late', (kind) => {
  let gates: Gates;
  let clock: HandClock;
  let world: World;
  let invariants: Invariants;
  let trpc: TrpcConnection['trpc'];
  beforeEach(async () => {
    gates = createGates();
    // What is frozen has no heartbeat: each comes by hand.
    clock = createHandClock((milliseconds) => milliseconds === 1000);
    // The lease is ended by hand, so nobody looks for expired ones before those who meet one.
    world = await startWorld({ kind, clock, probe: gates.probe, env: { LEASE_SECONDS: '600' } });
    invariants = await openInvariants(world);
    ({ trpc } = world.trpc());
  });
  afterEach(() => world[Symbol.asyncDispose]());

  async function letLeasesRunOut(): Promise<void> {
    const { query, tables } = await world.openDatabase();
    await query.update(tables.generations).set({ leaseExpiresAt: new Date(0) });
  }

  /** Takes the fence of the only generation, as another instance does, and dies before it has done more. */
  async function takeFence(): Promise<void> {
    const { query, tables } = await world.openDatabase();
    const { sessions } = await invariants.rows();
    const fence = (sessions[0]?.fence ?? 0) + 1;
    await query.update(tables.sessions).set({ fence });
    await query.update(tables.generations).set({ fence, owner: 'elsewhere', leaseExpiresAt: new Date(0) });
  }

  async function frozenAt(point: 'claimed' | 'admitting') {
    const { sessionId } = await trpc.session.create.mutate({});
    const gate = gates.hold(point);
    const request = { sessionId, message: 'Frozen', idempotencyKey: 'frozen' };
    const sent = trpc.message.send.mutate(request).catch((error: unknown) => error);
    await gate.reached;
    return { sessionId, gate, request, sent };
  }

  const unavailable = { data: { code: 'UNAVAILABLE', httpStatus: 503 } };

  it.each(['claimed', 'admitting'] as const)('is refused admission, frozen at %s', async (point) => {
    const { sessionId, gate, request, sent } = await frozenAt(point);
    await letLeasesRunOut();
    const { message } = await trpc.message.send.mutate({ sessionId, message: 'In between' });
    expect(message.status).toBe('complete');
    gate.release();
    expect(await sent).toMatchObject(unavailable);
    expect((await invariants.check(sessionId)).messages.map(({ content }) => content)).toEqual([
      'In between',
      'Hello from the fake.',
    ]);
    expect(world.openai.calls).toHaveLength(1);
    const again = await trpc.message.send.mutate(request);
    expect(again.userMessage?.content).toBe('Frozen');
    expect(world.openai.calls).toHaveLength(2);
    await invariants.check(sessionId);
  });

  it('is refused admission as soon as the fence is taken', async () => {
    const { sessionId, gate, sent } = await frozenAt('admitting');
    await takeFence();
    gate.release();
    expect(await sent).toMatchObject(unavailable);
    const { generations, messages } = await invariants.rows(sessionId);
    expect([generations[0]?.status, messages]).toEqual(['reserving', []]);
    expect(world.openai.calls).toEqual([]);
    await trpc.message.send.mutate({ sessionId, message: 'The next one' });
    const checked = await invariants.check(sessionId);
    expect(checked.generations.map(({ status }) => status)).toEqual(['refused', 'complete']);
  });

  it('is not waited for by a repeat: that runs anew', async () => {
    const { sessionId, gate, request, sent } = await frozenAt('claimed');
    await letLeasesRunOut();
    const repeated = await trpc.message.send.mutate(request);
    expect(repeated.message.status).toBe('complete');
    gate.release();
    expect(await sent).toMatchObject(unavailable);
    expect(world.openai.calls).toHaveLength(1);
    await invariants.check(sessionId);
  });

  /** An answer whose first chunk is checkpointed, whose reader has all of it, and whose end is held back. */
  async function frozenAtEnd() {
    const { sessionId } = await trpc.session.create.mutate({});
    world.openai.script('Nearly', { chunks: ['a', 'b', 'c'], hold: [1] });
    const request = { sessionId, message: 'Nearly', idempotencyKey: 'nearly' };
    const reader = collect((subscriber) => trpc.message.stream.subscribe(request, subscriber));
    await reader.until(2);
    clock.pass();
    const checkpointed = async () => expect((await invariants.rows()).segments).toMatchObject([{ text: 'a' }]);
    await vi.waitFor(checkpointed, { ...patience, interval: 20 });
    const gate = gates.hold('ending');
    world.openai.calls[0]?.release();
    const streamId = await gate.reached;
    await vi.waitFor(() => expect(textOf(reader.events)).toBe('abc'), { ...patience, interval: 5 });
    return { sessionId, gate, request, reader, streamId };
  }

  it('stores no end once the fence is taken', async () => {
    const { sessionId, gate, request, reader, streamId } = await frozenAtEnd();
    await takeFence();
    const { segments } = await invariants.rows(sessionId);
    gate.release();
    const { message } = await trpc.message.stop.mutate({ sessionId, streamId });
    const stored = segments.map(({ text }) => text).join('');
    expect(message).toMatchObject({ status: 'interrupted', content: stored });
    await reader.done;
    expect(reader.events.slice(-2).map(({ event }) => event.type)).toEqual(['resync', 'error']);
    await expect(trpc.message.send.mutate(request)).rejects.toMatchObject({ data: { code: 'INTERRUPTED', streamId } });
    expect(world.openai.calls).toHaveLength(1);
    await invariants.check(sessionId, [reader]);
  });

  it.each(['send', 'repeat', 'delete'] as const)('is recovered first by a %s', async (what) => {
    const { sessionId, gate, request, reader } = await frozenAtEnd();
    await letLeasesRunOut();
    const interrupted = { data: { code: 'INTERRUPTED' } };
    if (what === 'delete') await trpc.session.delete.mutate({ sessionId });
    else if (what === 'send') await trpc.message.send.mutate({ sessionId, message: 'The next one' });
    else {
      const repeated = trpc.message.send.mutate(request).catch((error: unknown) => error);
      await invariants.settled(sessionId);
      gate.release();
      expect(await repeated).toMatchObject(interrupted);
    }
    gate.release();
    await reader.done;
    const { sessions } = await invariants.check(undefined, what === 'delete' ? [] : [reader]);
    expect(sessions).toHaveLength(what === 'delete' ? 0 : 1);
  });
});
