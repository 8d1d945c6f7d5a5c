import { describe, expect, it } from 'vitest';
import { builtInPlans, planFor } from '../../../src/clients/accounting/embedded/plans.ts';
import { readPlansFile } from '../../../src/clients/accounting/embedded/plans-file.ts';

function problemsOf(file: unknown): readonly string[] {
  const read = readPlansFile(typeof file === 'string' ? file : JSON.stringify(file));
  return read.ok ? [] : read.problems;
}

const free = { grant: null };

describe('a file of plans', () => {
  it('says what each plan gives and allows', () => {
    const file = {
      plans: {
        free: { grant: { credits: 0.000001, every: 'once' }, quotas: { day: { messages: 0, compute: 60 } } },
        'team:gold': { grant: { credits: 1234.567891, every: 'month' }, quotas: { month: { tokens: 5, sessions: 2 } } },
        staff: { grant: null, quotas: {} },
      },
    };
    const read = readPlansFile(`\uFEFF${JSON.stringify(file)}`);
    expect(read.ok && Object.fromEntries(read.plans)).toEqual({
      free: {
        name: 'free',
        grant: { amount: 1, every: 'once' },
        quotas: { day: { messages: 0, compute: 60 }, month: {} },
      },
      'team:gold': {
        name: 'team:gold',
        grant: { amount: 1_234_567_891, every: 'month' },
        quotas: { day: {}, month: { tokens: 5, sessions: 2 } },
      },
      staff: { name: 'staff', grant: null, quotas: { day: {}, month: {} } },
    });
  });

  it.each([
    ['{', [expect.stringMatching(/^it is not JSON: /u)]],
    ['[]', ['the file: must be an object with the field "plans"']],
    [{ plan: {} }, ['plans: must be an object of plans by name', 'the file: unknown field "plan"']],
    [{ plans: [] }, ['plans: must be an object of plans by name']],
    [{ plans: {} }, ['there is no plan "free", which holds for every user without one']],
    [{ plans: { free: null } }, ['plan "free": must be an object with grant and quotas']],
    [
      { plans: { free: {} } },
      ['plan "free" grant: must be an object with credits and every, or null for credits that are not counted'],
    ],
    [
      { plans: { free: { grant: { credits: -1, every: 'day' }, quota: {} } } },
      [
        'plan "free" grant.credits: must not be negative',
        'plan "free" grant.every: must be "once" or "month"',
        'plan "free": unknown field "quota"',
      ],
    ],
    [{ plans: { free: { grant: { every: 'once' } } } }, ['plan "free" grant.credits: is missing']],
    [{ plans: { free: { grant: { credits: '1', every: 'once' } } } }, ['plan "free" grant.credits: must be a number']],
    [
      { plans: { free: { grant: { credits: 0.0000001, every: 'once' } } } },
      ['plan "free" grant.credits: must have at most 6 decimal places'],
    ],
    [
      { plans: { free: { grant: { credits: 10_000_001, every: 'once' } } } },
      ['plan "free" grant.credits: must be at most 10000000; for no limit write "grant": null'],
    ],
    [
      { plans: { free: { grant: null, quotas: { day: { messages: 1.5, tokens: -1, words: 5 }, week: {} } } } },
      [
        'plan "free" quotas.day.messages: must be a whole number',
        'plan "free" quotas.day.tokens: must not be negative',
        'plan "free" quotas.day: unknown field "words"',
        'plan "free" quotas: unknown field "week"',
      ],
    ],
    [
      { plans: { free, pro: { grant: null, quotas: { month: 5 } } } },
      ['plan "pro" quotas.month: must be an object of limits'],
    ],
    [{ plans: { free, '': free } }, ['plan "": the name must have 1 to 255 characters']],
    [
      { plans: { free, 'free:2026-11': { grant: { credits: 5, every: 'once' } } } },
      ['plan "free:2026-11": the name must not end in a colon and a month'],
    ],
  ])('is refused with every problem: %j', (file, problems) => {
    const told = problemsOf(file);
    expect(told).toEqual(expect.arrayContaining(problems));
    expect(told).toHaveLength(problems.length);
  });
});

describe('plans', () => {
  it('are built in, with and without a grant', () => {
    expect([...builtInPlans.values()].map(({ name, grant }) => [name, grant?.amount ?? null, grant?.every])).toEqual([
      ['free', 1_000_000_000, 'month'],
      ['pro', 20_000_000_000, 'month'],
      ['unlimited', null, undefined],
    ]);
  });

  it.each([
    ['pro', 'pro'],
    ['gold', 'free'],
    ['', 'free'],
    ['__proto__', 'free'],
  ])('of the name %j are %s', (name, plan) => {
    expect(planFor(builtInPlans, name).name).toBe(plan);
  });
});
