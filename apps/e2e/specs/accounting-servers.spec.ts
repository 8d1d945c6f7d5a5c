import { expect, it, vi } from 'vitest';
import {
  costOf,
  heldPromptTokens,
  isWhole,
  promptTokens,
  serviceToken,
  startAccountingWorld,
  words,
} from '../src/accounting-world.ts';
import { patience } from '../src/call-for.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { fakeFaults } from '../src/fake-accounting.ts';

describeEachDatabase('a server that ends', (kind) => {
  if (isWhole(kind)) {
    it('waits for no delivery at SIGTERM; the next one makes it, and knows no token of a user', async () => {
      await using started = await startAccountingWorld(kind, {
        serve: false,
        env: { SHUTDOWN_GRACE_SECONDS: '0', LEASE_SECONDS: '9', LOG_LEVEL: 'debug', LOG_PAYLOADS: 'full' },
      });
      const { world, journal } = started;
      const user = await started.user();
      const first = await world.spawn({ isUnhurried: true });
      const made = await user.call('session.create', {}, first.url);
      const { sessionId } = made.result as { sessionId: string };
      const { streamId } = await user.streamUntil(sessionId, 2, {}, first.url);
      world.accounting.fault('record', fakeFaults.hang);
      first.kill('SIGTERM');
      expect(await first.exited).toBe(0);
      const { outbox, usage } = await journal.rows();
      expect(outbox).toMatchObject([{ usageId: streamId, state: 'pending' }]);
      expect(usage).toMatchObject([{ usageId: streamId, state: 'charged', charged: costOf(promptTokens, 2) }]);
      expect(world.accounting.chargesOf(streamId)).toEqual([]);
      world.accounting.clearFaults();

      const second = await world.spawn();
      await vi.waitFor(() => expect(world.accounting.chargesOf(streamId)).toHaveLength(1), patience);
      await journal.check();
      expect(world.accounting.totals(user.id)).toMatchObject({ held: 0, spent: costOf(promptTokens, 2) });
      const record = world.accounting.requests.findLast(({ operation }) => operation === 'record');
      expect(record?.body).toMatchObject({ outcome: 'interrupted', outputTokens: 2 });

      // And after a SIGKILL what had been stored by then is charged by whoever recovers it.
      const { streamId: killed } = await user.streamUntil(sessionId, 2, {}, second.url);
      second.kill('SIGKILL');
      await second.exited;
      expect(world.accounting.openHolds().map(({ usageId }) => usageId)).toEqual([killed]);
      await using third = await world.spawn();
      // On Postgres nobody takes it before its lease is over.
      await journal.letWaitsPass();
      await journal.check();
      const told = world.accounting.requestsOf(killed).map(({ body }) => body);
      expect(told.at(-1)).toMatchObject({ outcome: 'interrupted', outputTokens: 2, messageId: killed });
      expect(world.accounting.chargesOf(killed)).toHaveLength(1);

      const lines = [...first.logs, ...second.logs, ...third.logs];
      expect(lines.length).toBeGreaterThan(2);
      for (const secret of [user.token, user.token.split('.')[2] ?? '', serviceToken]) {
        expect(lines.filter((line) => line.includes(secret))).toEqual([]);
        expect(started.rawFilesWith(secret)).toEqual([]);
      }
    });
  }

  // A SQLite file has one server.
  if (kind === 'postgres') {
    it('is one of two: a user of both spends what there is, once', async () => {
      await using started = await startAccountingWorld(kind);
      const { world, journal } = started;
      await using other = await world.spawn();
      const one = costOf(heldPromptTokens, 10);
      const user = await started.user(4 * one + 999);
      const sessions = await Promise.all(Array.from({ length: 20 }, () => user.openSession()));
      world.openai.script('Hi', { chunks: words, hold: [1] });
      const input = { parameters: { maxTokens: 10 } };
      const answers: number[] = [];
      const all = sessions.map(async (sessionId, index) => {
        const { status } = await user.send(sessionId, input, index % 2 === 0 ? world.url : other.url);
        answers.push(status);
      });
      await vi.waitFor(() => expect(answers).toEqual(Array.from({ length: 16 }, () => 402)), patience);
      for (const index of [0, 1, 2, 3]) await world.openai.call(index);
      // One instance is gone: the other ends in its place what it had begun.
      other.kill('SIGKILL');
      await other.exited;
      for (const call of world.openai.calls) call.releaseAll();
      await Promise.allSettled(all);
      await journal.letWaitsPass();
      const { usage } = await journal.check();
      expect(usage).toHaveLength(4);
      expect(world.accounting.totals(user.id).spent).toBeLessThanOrEqual(4 * one);
    });
  }
});
