import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  isLongRun,
  isWhole,
  startAccountingWorld,
  words,
  type AccountingWorld,
  type AccountUser,
} from '../src/accounting-world.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { fakeFaults, type FakeFault } from '../src/fake-accounting.ts';
import type { World } from '../src/world.ts';

/*
 * A small conversation again and again, in which each call of the Accounting Service in turn goes wrong, in each way,
 * once and twice in a row. `SOAK` (`ci`, `full`) takes most or all of it on both databases, a default run a little of it.
 */
const { SOAK: soak } = process.env;

const faults: Readonly<Record<string, FakeFault>> = {
  'its connection breaks': fakeFaults.reset,
  'it is done and its answer lost': fakeFaults.lostAnswer,
  'it is not done within 2 s': fakeFaults.hang,
  'it is done and not answered within 2 s': fakeFaults.lateAnswer,
  'it has status 500': fakeFaults.serverError,
  'a proxy answers it': fakeFaults.html,
  'it is answered as known already': fakeFaults.already,
  'our token is not known to it': fakeFaults.unauthorized,
};

describeEachDatabase(
  'every call of the Accounting Service in turn',
  (kind) => {
    let started: AccountingWorld;
    let world: World;
    beforeAll(async () => {
      started = await startAccountingWorld(kind);
      ({ world } = started);
    });
    afterAll(() => started?.[Symbol.asyncDispose]());

    /** As a person does: once more, under the same key, where the service says that it is not available. */
    async function insist(attempt: () => Promise<{ status: number }>): Promise<number> {
      const { status } = await attempt();
      return status === 503 ? (await attempt()).status : status;
    }

    /** Opens a session, and has answers that are whole, stopped and failed. Resolves to what came of them. */
    async function converse(user: AccountUser): Promise<number[]> {
      let sessionId: string | undefined;
      const opened = await insist(async () => {
        const answer = await user.call('session.create', { idempotencyKey: 'a session' });
        sessionId = (answer.result as { sessionId: string } | undefined)?.sessionId;
        return answer;
      });
      if (sessionId === undefined) return [opened];
      const id = sessionId;
      const send = (idempotencyKey: string, path = 'message.send') =>
        insist(() => {
          const parameters = { maxTokens: 100 };
          return user.call(path, { sessionId: id, message: `Hi, ${idempotencyKey}`, idempotencyKey, parameters });
        });
      const name = user.id;
      world.openai.script(`Hi, whole ${name}`, { chunks: words, times: 1 });
      world.openai.script(`Hi, stopped ${name}`, { chunks: words, hold: [2], times: 1 });
      world.openai.script(`Hi, failed ${name}`, { status: 400, times: 1 });
      const statuses = [opened, await send(`whole ${name}`)];
      const calls = world.openai.calls.length;
      statuses.push(await send(`stopped ${name}`, 'message.start'));
      if (statuses.at(-1) === 200) {
        await (await world.openai.call(calls)).reached(2);
        statuses.push((await user.call('message.stop', { sessionId: id })).status);
      }
      statuses.push(await send(`failed ${name}`), await send(`last ${name}`));
      return statuses;
    }

    /** Resolves to whether there was a call with this number. */
    async function failCall(number: number, times: number, fault: FakeFault): Promise<boolean> {
      const user = await started.user();
      let seen = -1;
      let failed = 0;
      const isNth = ({ userId }: { userId: string | null }) => {
        if (userId !== user.id) return false;
        seen += 1;
        return seen >= number && failed < times;
      };
      world.accounting.fault(isNth, () => {
        failed += 1;
        if (fault.answer === 'hang') setImmediate(started.clock.passTwoSeconds);
        return fault;
      });
      const statuses = await converse(user);
      await started.journal.atRest();
      world.accounting.clearFaults();
      await started.journal.check({ userIds: [user.id] });
      expect(statuses.filter((status) => ![200, 409, 502, 503].includes(status))).toEqual([]);
      if (failed === 0) expect(statuses).toEqual([200, 200, 200, 200, 502, 200]);
      return failed > 0;
    }

    const lengths = soak === 'full' ? [1, 2] : [2];
    const few = ['it is done and its answer lost', 'a proxy answers it'];
    const names = Object.keys(faults).filter((name) => isLongRun || few.includes(name));

    it.each(names.flatMap((name) => lengths.map((times) => [name, times] as const)))(
      'charges once or gives back where %s (%i in a row)',
      async (name, times) => {
        const fault = faults[name];
        if (fault === undefined) throw new Error('there is no such fault');
        let number = 0;
        while (await failCall(number, times, fault)) number += 1;
        // A check for the session, and for four answers a check and what became of it.
        expect(number).toBeGreaterThanOrEqual(9);
      },
    );
  },
  isWhole,
);
