import { expect, it } from 'vitest';
import type { Clock } from '../../src/platform/clock.ts';
import { at } from '../../src/platform/deadline.ts';
import { createManualClock } from './manual-clock.ts';

it('reaches times that are further away than a timer of Node can count, and cancels on the way', async () => {
  const manual = createManualClock();
  const waits: number[] = [];
  const clock: Clock = {
    now: () => manual.now(),
    after(milliseconds, callback) {
      waits.push(milliseconds);
      return manual.after(milliseconds, callback);
    },
  };
  const far = 90 * 24 * 3_600_000;
  const reached: string[] = [];
  at(clock, manual.now() + far, () => reached.push('far'));
  const cancel = at(clock, manual.now() + far, () => reached.push('cancelled'));
  await manual.advance(far / 2);
  cancel();
  await manual.advance(far / 2 - 1);
  expect(reached).toEqual([]);
  await manual.advance(1);
  expect(reached).toEqual(['far']);
  expect(Math.max(...waits)).toBeLessThanOrEqual(2 ** 31 - 1);
});
