import { readdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { createLedgerWorld, credit, readLedger } from '../clients/accounting/ledger-world.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { runBin, startBin, temporaryDirectory } from './run-bin.ts';

describeEachDatabase('credits on the command line', (fixture) => {
  it('are granted beside whoever else writes, and told when they do not add up', async () => {
    await using directory = await temporaryDirectory();
    const options = { cwd: directory.path, env: { DATABASE_URL: fixture.url } };
    const world = createLedgerWorld(fixture.database);
    let over = false;
    const granting = runBin(['grant', 'ada', '2.500001'], options).finally(() => {
      over = true;
    });
    while (!over) {
      await world.release(await world.check('ada', { credits: 1 }));
      // On SQLite none of it waits, and the processes beside it are heard between the turns alone; nor need it be fast.
      await new Promise((resolve) => void setTimeout(resolve, 2));
    }
    const granted = await granting;
    expect(granted).toMatchObject({ code: 0, stderr: '' });
    expect(granted.stdout).toMatch(
      /^Granted 2\.500001 credits to the user "ada", who has [\d.]+ now\.\nThis user has not been here yet; .*\n$/u,
    );
    expect(await world.balance('ada')).toMatchObject({ credits: 1002.500001 * credit, held: 0 });

    const { usageId } = await world.check('eve', { plan: 'pro', credits: credit / 2 });
    const reconciled = await runBin(['reconcile', '--json'], options);
    const released = (await readLedger(fixture.database)).usage.length - 1;
    expect({ code: reconciled.code, ...(JSON.parse(reconciled.stdout) as object) }).toEqual({
      code: 1,
      ok: false,
      accounting: 'embedded',
      credits: { accounts: 2, granted: 21_002.500001, available: 21_002.000001, held: 0.5, spent: 0, absorbed: 0 },
      usage: { held: 1, charged: 0, released },
      generations: 0,
      outbox: { pending: 0, parked: 0, oldestSeconds: null },
      problems: [`user "eve": usage is held for generation ${usageId}, which is not live: credits 0.5`],
    });
  });
});

describe('credits on the command line', () => {
  it('are granted and reconciled on the SQLite file of a running server', async () => {
    await using directory = await temporaryDirectory();
    const cwd = directory.path;
    const server = startBin(['serve'], { cwd, env: { PORT: '0' } });
    await server.says('Ctrl-C');
    const granted = await runBin(['grant', 'dev', '5'], { cwd });
    const reconciled = await runBin(['reconcile'], { cwd });
    server.kill('SIGTERM');
    expect((await server.result).code).toBe(0);
    expect(granted).toMatchObject({ code: 0, stdout: expect.stringContaining('who has 5 now') });
    expect(reconciled).toEqual({
      code: 0,
      stderr: '',
      stdout: [
        'Accounts: 1.',
        'Credits: 5 granted = 5 available + 0 held + 0 spent; 0 absorbed.',
        'Usage records: 0 held, 0 charged, 0 released.',
        'Admitted generations: 0.',
        'To be delivered to the Accounting Service: 0; parked: 0.',
        'It adds up.',
        '',
      ].join('\n'),
    });
  });

  it.each([
    ['5', { ACCOUNTING_URL: 'http://127.0.0.1:1' }, 'ACCOUNTING_URL is set'],
    ['5', {}, 'there is no database file'],
  ])('are refused in words: %s with %j', async (credits, env, words) => {
    await using directory = await temporaryDirectory();
    const { code, stdout, stderr } = await runBin(['grant', 'ada', credits], { cwd: directory.path, env });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(words);
    expect(await readdir(directory.path)).toEqual([]);
  });
});
