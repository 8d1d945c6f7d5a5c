import { describe, expect, it } from 'vitest';
import { createLogger } from '../../src/platform/logger.ts';
import { createScheduler } from '../../src/platform/scheduler.ts';
import { createManualClock } from './manual-clock.ts';

function world() {
  const lines: string[] = [];
  const clock = createManualClock();
  const logger = createLogger({ level: 'info', destination: { write: (line) => void lines.push(line) } });
  return { clock, lines, scheduler: createScheduler({ clock, logger }) };
}

describe('createScheduler', () => {
  it('starts a job once an interval', async () => {
    const { clock, scheduler } = world();
    let runs = 0;
    scheduler.every({ name: 'count', everyMs: 1000, run: async () => void (runs += 1) });
    await clock.advance(999);
    expect(runs).toBe(0);
    await clock.advance(1);
    expect(runs).toBe(1);
    await clock.advance(5000);
    expect(runs).toBe(6);
  });

  it('never overlaps a job with itself and keeps its rhythm after a long run', async () => {
    const { clock, scheduler } = world();
    const starts: number[] = [];
    const begin = clock.now();
    let finish = () => {};
    scheduler.every({
      name: 'slow',
      everyMs: 1000,
      run: () => {
        starts.push(clock.now() - begin);
        return new Promise((resolve) => (finish = resolve));
      },
    });
    await clock.advance(3500);
    expect(starts).toEqual([1000]);
    finish();
    await clock.advance(500);
    expect(starts).toEqual([1000, 4000]);
  });

  it('logs an error and goes on', async () => {
    const { clock, scheduler, lines } = world();
    let runs = 0;
    scheduler.every({
      name: 'broken',
      everyMs: 10,
      run: () => {
        runs += 1;
        throw new Error('no luck');
      },
    });
    await clock.advance(20);
    expect(runs).toBe(2);
    expect(lines.map((line): unknown => JSON.parse(line))).toMatchObject([
      { level: 'error', job: 'broken', err: { message: 'no luck' } },
      { job: 'broken' },
    ]);
  });

  it('stops by waiting for what runs, whose signal aborts', async () => {
    const { clock, scheduler, lines } = world();
    const events: string[] = [];
    let finish = () => {};
    scheduler.every({
      name: 'long',
      everyMs: 10,
      run: async (signal) => {
        signal.addEventListener('abort', () => events.push('aborted'));
        await new Promise<void>((resolve) => (finish = resolve));
        events.push('ended');
        signal.throwIfAborted();
      },
    });
    await clock.advance(10);
    const stopped = scheduler.stop().then(() => events.push('stopped'));
    await clock.advance(100);
    expect(events).toEqual(['aborted']);
    finish();
    await stopped;
    await clock.advance(100);
    expect(events).toEqual(['aborted', 'ended', 'stopped']);
    expect(lines).toEqual([]);
    expect(() => scheduler.every({ name: 'late', everyMs: 1, run: async () => {} })).toThrow('stopped');
  });
});
