import { expect, it, vi } from 'vitest';
import { costOf, promptTokens, startAccountingWorld, words } from '../src/accounting-world.ts';
import { patience } from '../src/call-for.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { checkMoney } from '../src/money-invariants.ts';
import { runCommand } from '../src/run-command.ts';

/** The embedded ledger instead. */
const env = { ACCOUNTING_URL: '', ACCOUNTING_TOKEN: '' };

describeEachDatabase('an Accounting Service that is taken away while answers are written', (kind) => {
  it('is told what ran when it is back, once, and nothing of what ran meanwhile', async () => {
    await using started = await startAccountingWorld(kind, { serve: false });
    const { world, journal } = started;
    const [talking, silent, later] = [await started.user(), await started.user(), await started.user()];
    const open = async ({ call }: typeof talking, url: string) =>
      ((await call('session.create', {}, url)).result as { sessionId: string }).sessionId;
    const withService = await world.spawn();
    const { url } = withService;
    const { streamId: charged } = await talking.streamUntil(await open(talking, url), 2, {}, url);
    const { streamId: released } = await silent.streamUntil(await open(silent, url), 0, {}, url);
    withService.kill('SIGKILL');
    await withService.exited;
    const effects = [...world.accounting.effects];
    const requests = world.accounting.requests.length;
    expect(effects.map(({ kind: what, usageId }) => [what, usageId])).toEqual([
      ['hold', charged],
      ['hold', released],
    ]);

    await journal.letWaitsPass();
    const without = await world.spawn({ env });
    await vi.waitFor(async () => {
      const { generations } = await journal.rows();
      expect(generations.map(({ status }) => status)).toEqual(['interrupted', 'interrupted']);
    }, patience);
    const waiting = async () =>
      Object.fromEntries((await journal.rows()).outbox.map((row) => [row.usageId, row.body.kind]));
    const told = { [charged]: 'record', [released]: 'release' };
    expect(await waiting()).toEqual(told);
    world.openai.script('Hi', { chunks: words, times: 1 });
    expect((await later.send(await open(later, without.url), {}, without.url)).status).toBe(200);
    await checkMoney(journal.database);
    without.kill('SIGKILL');
    await without.exited;

    // Nobody was told, and the operator is.
    const again = await world.spawn({ env });
    await vi.waitFor(() => {
      const warnings = again.logs.filter((line) => line.includes('ACCOUNTING_URL is not set'));
      expect(warnings.map((line) => JSON.parse(line) as unknown)).toMatchObject([{ level: 'warn', pending: 2 }]);
    }, patience);
    const stranded = await runCommand(['reconcile', '--json'], { ...world.env, ...env });
    expect(stranded.code).toBe(1);
    expect(JSON.parse(stranded.stdout)).toMatchObject({
      ok: false,
      outbox: { pending: 2, parked: 0 },
      problems: ['deliveries that wait for an Accounting Service, while ACCOUNTING_URL is not set: 2'],
    });
    again.kill('SIGTERM');
    expect(await again.exited).toBe(0);
    expect(await waiting()).toEqual(told);
    expect(world.accounting.requests).toHaveLength(requests);

    await journal.letWaitsPass();
    await using back = await world.spawn();
    await journal.check({ userIds: [talking.id, silent.id] });
    expect(
      world.accounting.effects
        .slice(effects.length)
        .map((effect) => effect.usageId)
        .toSorted(),
    ).toEqual([charged, released].toSorted());
    expect(world.accounting.chargesOf(charged)).toMatchObject([{ credits: costOf(promptTokens, 2) }]);
    expect(world.accounting.totals(talking.id)).toMatchObject({ held: 0, spent: costOf(promptTokens, 2) });
    expect(world.accounting.totals(silent.id)).toMatchObject({ held: 0, spent: 0 });
    const record = world.accounting.requestsOf(charged).find(({ operation }) => operation === 'record');
    expect(record?.body).toMatchObject({ messageId: charged, outcome: 'interrupted', outputTokens: 2 });
    expect(world.accounting.requests.filter(({ userId }) => userId === later.id)).toEqual([]);
    expect(back.logs.filter((line) => line.includes('ACCOUNTING_URL is not set'))).toEqual([]);
    expect(await runCommand(['reconcile'], world.env)).toMatchObject({ code: 0 });
    expect(await runCommand(['reconcile'], { ...world.env, ...env })).toMatchObject({ code: 0 });
    await checkMoney(journal.database);
  });

  // A SQLite file has one server.
  if (kind === 'postgres') {
    it('is told once where a server that was taken for dead comes back with it', async () => {
      await using started = await startAccountingWorld(kind, { serve: false });
      const { world, journal } = started;
      const user = await started.user();
      await using frozen = await world.spawn();
      const made = await user.call('session.create', {}, frozen.url);
      const { sessionId } = made.result as { sessionId: string };
      const { streamId, call } = await user.streamUntil(sessionId, 2, {}, frozen.url);
      frozen.kill('SIGSTOP');
      await journal.letWaitsPass();
      await using without = await world.spawn({ env });
      await vi.waitFor(async () => {
        // A heartbeat that was on its way may have renewed the lease once more.
        await journal.letWaitsPass();
        const { outbox } = await journal.rows();
        expect(outbox).toMatchObject([{ usageId: streamId, body: { kind: 'record' }, attempts: 0 }]);
      }, patience);
      frozen.kill('SIGCONT');
      call.releaseAll();
      await journal.check();
      expect(world.accounting.chargesOf(streamId)).toMatchObject([{ credits: costOf(promptTokens, 2) }]);
      await vi.waitFor(() => {
        const warnings = without.logs.filter((line) => line.includes(streamId) && line.includes('ACCOUNTING_URL'));
        expect(warnings).toHaveLength(1);
      }, patience);
    });
  }
});
