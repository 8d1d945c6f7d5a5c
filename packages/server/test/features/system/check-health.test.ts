import { describe, expect, it } from 'vitest';
import { healthOutput } from '@chat-service/shared/system-api';
import { createCheckHealth, type HealthCheck, type HealthStatus } from '../../../src/features/system/check-health.ts';
import { createManualClock } from '../../platform/manual-clock.ts';

const says = (status: HealthStatus) => async () => status;

function world(checks: Record<string, HealthCheck>) {
  const clock = createManualClock();
  const state = { shuttingDown: false };
  const check = createCheckHealth({ checks, isShuttingDown: () => state.shuttingDown, version: '1.2.3', clock });
  return { clock, state, check };
}

describe('createCheckHealth', () => {
  it.each([
    [{ database: says('ok'), models: says('ok') }, 'ok'],
    [{ database: says('ok'), models: says('unavailable') }, 'degraded'],
    [{ database: says('ok'), models: says('degraded') }, 'degraded'],
    [{ database: says('degraded'), models: says('ok') }, 'degraded'],
    [{ database: says('unavailable'), models: says('ok') }, 'unavailable'],
  ] as const)('case %#: %s is %s', async (checks, status) => {
    const { check, clock } = world(checks);
    const health = await check();
    expect(healthOutput.parse(health)).toEqual(health);
    expect(health).toMatchObject({ status, version: '1.2.3', timestamp: new Date(clock.now()).toISOString() });
  });

  it('takes a check that throws for unavailable', async () => {
    const { check } = world({
      database: () => {
        throw new Error('gone');
      },
    });
    expect(await check()).toMatchObject({ status: 'unavailable', checks: { database: { status: 'unavailable' } } });
  });

  it('is unavailable from the moment of the shutdown on, cache or not', async () => {
    const { check, state } = world({ database: says('ok') });
    expect((await check()).status).toBe('ok');
    state.shuttingDown = true;
    expect(await check()).toMatchObject({ status: 'unavailable', checks: { database: { status: 'ok' } } });
  });

  it('asks at most once a second, however many probe', async () => {
    let asked = 0;
    const { check, clock } = world({ database: async () => ((asked += 1), 'ok') });
    await Promise.all(Array.from({ length: 50 }, () => check()));
    await clock.advance(999);
    await check();
    expect(asked).toBe(1);
    await clock.advance(1);
    await check();
    expect(asked).toBe(2);
  });

  it('bounds a check that hangs, and does not ask it again before it has answered', async () => {
    let asked = 0;
    let answer = (_status: HealthStatus) => {};
    const { check, clock } = world({
      database: () => {
        asked += 1;
        return new Promise((resolve) => (answer = resolve));
      },
    });
    const first = check();
    await clock.advance(2000);
    expect((await first).status).toBe('unavailable');
    const second = check();
    await clock.advance(2000);
    expect((await second).status).toBe('unavailable');
    expect(asked).toBe(1);
    answer('ok');
    await clock.advance(1000);
    const third = check();
    await clock.advance(0);
    answer('ok');
    expect((await third).status).toBe('ok');
    expect(asked).toBe(2);
  });
});
