import { readdir } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { createEmbeddedAccounting } from '../../src/clients/accounting/embedded/embedded-accounting.ts';
import { builtInPlans } from '../../src/clients/accounting/embedded/plans.ts';
import { newUuid } from '../../src/platform/ids.ts';
import { clearLedger, createLedgerWorld, credit, readLedger } from '../clients/accounting/ledger-world.ts';
import { describeEachDatabase, silentLogger } from '../support/databases.ts';
import { runBin, startBin, temporaryDirectory } from './run-bin.ts';

describeEachDatabase('grant and reconcile', (fixture) => {
  beforeEach(() => clearLedger(fixture.database));
  const run = async (...args: string[]) => {
    await using directory = await temporaryDirectory();
    return runBin(args, { cwd: directory.path, env: { DATABASE_URL: fixture.url } });
  };

  it('top up beside a server that writes, and say whether it adds up', async () => {
    const world = createLedgerWorld(fixture.database);
    let over = false;
    const serving = (async () => {
      let checks = 0;
      for (; !over; checks += 1) {
        const usage = await world.check('ada', { credits: 1 });
        await world.release(usage);
        // On SQLite nothing of it waits, and the processes beside it could not be heard.
        await new Promise((resolve) => void setImmediate(resolve));
      }
      return checks;
    })();
    const results = await Promise.all(['2.5', '0.000001', '40'].map((credits) => run('grant', 'ada', credits))).finally(
      () => {
        over = true;
      },
    );
    expect(await serving).toBeGreaterThan(10);
    for (const { code, stdout, stderr } of results) {
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toMatch(/^Granted [\d.]+ credits to the user "ada", who has 10[\d.]+ now\.\n/u);
    }
    expect(await world.balance('ada')).toMatchObject({ credits: 1042.500001 * credit, held: 0 });

    const { code, stdout } = await run('reconcile', '--json');
    expect({ code, ...(JSON.parse(stdout) as object) }).toMatchObject({
      code: 0,
      ok: true,
      accounting: 'embedded',
      credits: { accounts: 1, granted: 1042.500001, available: 1042.500001, held: 0, spent: 0, absorbed: 0 },
      usage: { held: 0, charged: 0 },
      generations: 0,
      outbox: { pending: 0, parked: 0, oldestSeconds: null },
      problems: [],
    });
  });

  it('say what does not add up, one line each, and exit with 1', async () => {
    const accounting = createEmbeddedAccounting({
      database: fixture.database,
      plans: builtInPlans,
      logger: silentLogger,
    });
    const usageId = newUuid();
    const estimate = { inputTokens: 1, outputTokens: 1, credits: 0.5 * credit };
    const holder = { userId: 'ada', plan: 'pro', userToken: null };
    await accounting.check({ ...holder, usageId, sessionId: 's', modelId: 'm', estimate });
    const problem = `user "ada": usage is held for generation ${usageId}, which is not live: credits 0.5`;
    const [text, json] = await Promise.all([run('reconcile'), run('reconcile', '--json')]);
    expect(text).toEqual({
      code: 1,
      stderr: '',
      stdout: [
        `problem: ${problem}`,
        'Accounts: 1.',
        'Credits: 20000 granted = 19999.5 available + 0.5 held + 0 spent; 0 absorbed.',
        'Usage records: 1 held, 0 charged, 0 released.',
        'Admitted generations: 0.',
        'To be delivered to the Accounting Service: 0; parked: 0.',
        'It does not add up: 1 problem.',
        '',
      ].join('\n'),
    });
    expect({ code: json.code, ...(JSON.parse(json.stdout) as object) }).toMatchObject({
      code: 1,
      ok: false,
      problems: [problem],
    });
  });

  it('give credit to a user who has not been here, before the plan does', async () => {
    const { code, stdout } = await run('grant', 'eve', '7');
    expect(code).toBe(0);
    expect(stdout).toBe(
      'Granted 7 credits to the user "eve", who has 7 now.\n' +
        'This user has not been here yet; what the plan gives comes with the first request.\n',
    );
    expect((await readLedger(fixture.database)).entries).toMatchObject([{ userId: 'eve', kind: 'top-up' }]);
  });
});

describe('grant', () => {
  it('works on the SQLite file of a running server', async () => {
    await using directory = await temporaryDirectory();
    const cwd = directory.path;
    const server = startBin(['serve'], { cwd, env: { PORT: '0' } });
    await server.says('Ctrl-C');
    const granted = await runBin(['grant', 'dev', '5'], { cwd });
    const reconciled = await runBin(['reconcile'], { cwd });
    server.kill('SIGTERM');
    expect((await server.result).code).toBe(0);
    expect(granted).toMatchObject({ code: 0, stdout: expect.stringContaining('who has 5 now') });
    expect(reconciled).toMatchObject({ code: 0, stdout: expect.stringContaining('It adds up.') });
  });

  it.each([
    [['ada', '5'], { ACCOUNTING_URL: 'http://127.0.0.1:1' }, 'ACCOUNTING_URL is set'],
    [['ada', 'five'], {}, '"five" are no credits'],
    [['ada', '0'], {}, 'more than 0'],
    [['ada', '9007199254.740992'], {}, 'so many'],
    [[' ', '5'], {}, 'user id'],
    [['ada', '5'], {}, 'there is no database file'],
    [['ada', '5'], { DATABASE_URL: 'postgres://chat:hunter2@127.0.0.1:1/chat' }, '127.0.0.1:1'],
    [['ada'], {}, 'missing'],
  ])('refuses %j with %j in words', async (args, env, words) => {
    await using directory = await temporaryDirectory();
    const { code, stdout, stderr } = await runBin(['grant', ...args], { cwd: directory.path, env });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(words);
    expect(stderr).not.toContain('hunter2');
    expect(await readdir(directory.path)).toEqual([]);
  });
});
