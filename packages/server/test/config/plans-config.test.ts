import { describe, expect, it } from 'vitest';
import { builtInPlans } from '../../src/clients/accounting/embedded/plans.ts';
import { loadConfig } from '../../src/config/config.ts';

function load(env: Record<string, string>, text: string | null = null) {
  return loadConfig(env, {
    readTextFile: (path) => {
      if (path !== './plans.json' || text === null) throw Object.assign(new Error('no'), { code: 'ENOENT' });
      return text;
    },
  });
}

describe('PLANS_FILE', () => {
  it('replaces the built-in plans', () => {
    const plansWithout = load({});
    expect(plansWithout.ok && plansWithout.config.accounting.plans).toBe(builtInPlans);
    const loaded = load({ PLANS_FILE: './plans.json' }, '{ "plans": { "free": { "grant": null } } }');
    expect(loaded.ok && [...loaded.config.accounting.plans.keys()]).toEqual(['free']);
  });

  it('is told with every other problem', () => {
    expect(load({ PLANS_FILE: './plans.json', PORT: 'x' })).toEqual({
      ok: false,
      problems: ['PORT must be a whole number from 0 to 65535', 'PLANS_FILE: the file cannot be read (ENOENT)'],
    });
    expect(load({ PLANS_FILE: './plans.json' }, '{ "plans": {} }')).toEqual({
      ok: false,
      problems: ['PLANS_FILE: there is no plan "free", which holds for every user without one'],
    });
  });
});
