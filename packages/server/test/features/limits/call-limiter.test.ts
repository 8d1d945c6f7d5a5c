import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createCallLimiter } from '../../../src/features/limits/call-limiter.ts';
import { systemClock } from '../../../src/platform/clock.ts';

// The limiter's store reads the process's own clock, so that is what is turned here.
beforeEach(() => void vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

const limiterOf = (limitPerMinute: number) => createCallLimiter({ limitPerMinute, clock: systemClock });
const never = new AbortController().signal;

describe('calls', () => {
  it('of two batches that are counted at once, the limit and no more may go on', async () => {
    const limiter = limiterOf(20);
    const batches = await Promise.all([limiter.take('ada', 15), limiter.take('ada', 15)]);
    expect(batches.map(({ allowed, remaining }) => [allowed, remaining])).toEqual([
      [15, 5],
      [5, 0],
    ]);
    expect(batches[1]).toMatchObject({ policy: 'default', limit: 20, windowSeconds: 60, resetSeconds: 60 });
    expect((await limiter.take('ada', 1)).allowed).toBe(0);
    expect((await limiter.take('bob', 1)).allowed).toBe(1);
  });

  it('that are too much make the window no longer, and its end is told in whole seconds', async () => {
    const limiter = limiterOf(1);
    await limiter.take('ada', 1);
    await vi.advanceTimersByTimeAsync(30_500);
    expect(await limiter.take('ada', 100)).toMatchObject({ allowed: 0, remaining: 0, resetSeconds: 30 });
    await vi.advanceTimersByTimeAsync(29_400);
    expect(await limiter.take('ada', 1)).toMatchObject({ allowed: 0, resetSeconds: 1 });
    await vi.advanceTimersByTimeAsync(100);
    expect(await limiter.take('ada', 1)).toMatchObject({ allowed: 1, remaining: 0, resetSeconds: 60 });
  });

  it('are told without being counted', async () => {
    const limiter = limiterOf(20);
    const start = Date.now();
    expect(await limiter.state('ada')).toEqual({ limit: 20, remaining: 20, resetsAt: new Date(start + 60_000) });
    await limiter.take('ada', 15);
    await vi.advanceTimersByTimeAsync(20_000);
    const running = { limit: 20, remaining: 5, resetsAt: new Date(start + 60_000) };
    expect(await limiter.state('ada')).toEqual(running);
    expect(await limiter.state('ada')).toEqual(running);
    await limiter.take('ada', 15);
    expect(await limiter.state('ada')).toEqual({ ...running, remaining: 0 });
    await vi.advanceTimersByTimeAsync(40_000);
    expect(await limiter.state('ada')).toMatchObject({ remaining: 20, resetsAt: new Date(start + 120_000) });
  });
});

describe('calls without a valid token', () => {
  it('count for each address, and for a whole network of IPv6, apart from users', async () => {
    const limiter = limiterOf(2);
    const allowed = async (address: string) => (await limiter.takeUnauthenticated(address, 1)).allowed;
    expect([await allowed('192.0.2.1'), await allowed('192.0.2.1'), await allowed('192.0.2.1')]).toEqual([1, 1, 0]);
    expect(await allowed('192.0.2.2')).toBe(1);
    expect([await allowed('2001:db8::1'), await allowed('2001:db8:0:0:9::2')]).toEqual([1, 1]);
    expect([await allowed('2001:db8::3'), await allowed('2001:db8:0:1::1')]).toEqual([0, 1]);
    expect(await limiter.take('192.0.2.1', 2)).toMatchObject({ allowed: 2, policy: 'default' });
  });
});

describe('resumptions', () => {
  it('are five times as many, counted apart, and wait for the next window in their order', async () => {
    const limiter = limiterOf(2);
    const done: number[] = [];
    for (let n = 1; n <= 23; n += 1) void limiter.waitForResumption('ada', never).then(() => done.push(n));
    await vi.advanceTimersByTimeAsync(59_999);
    expect(done).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(await limiter.take('ada', 2)).toMatchObject({ allowed: 2 });
    expect(await limiter.waitForResumption('bob', never)).toMatchObject({
      policy: 'resumption',
      limit: 10,
      remaining: 9,
    });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(done).toHaveLength(20);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(done).toEqual(Array.from({ length: 23 }, (_, index) => index + 1));
    expect(vi.getTimerCount()).toBeLessThanOrEqual(3);
  });

  it('end their wait when nobody waits any more', async () => {
    const limiter = limiterOf(1);
    for (let n = 0; n < 5; n += 1) await limiter.waitForResumption('ada', never);
    const leaving = new AbortController();
    const waiting = limiter.waitForResumption('ada', leaving.signal);
    await vi.advanceTimersByTimeAsync(1000);
    leaving.abort(new Error('left'));
    await expect(waiting).rejects.toThrow('left');
    await expect(limiter.waitForResumption('ada', leaving.signal)).rejects.toThrow('left');
    // What is left is the window's own.
    expect(vi.getTimerCount()).toBe(1);
  });
});
