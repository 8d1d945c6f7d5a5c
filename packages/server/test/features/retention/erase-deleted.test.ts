import { expect, it } from 'vitest';
import type { Erasure } from '../../../src/db/database.ts';
import { createEraseDeleted } from '../../../src/features/retention/erase-deleted.ts';
import { createLogger } from '../../../src/platform/logger.ts';
import { createManualClock } from '../../platform/manual-clock.ts';

const second = 1000;

function world(answers: (Erasure | Error)[] = []) {
  const hands = createManualClock();
  let setBackMs = 0;
  let eachTakesMs = 0;
  const clock = { ...hands, now: () => hands.now() - setBackMs };
  const logs: string[] = [];
  let asked = 0;
  const eraseDeleted = async () => {
    asked += 1;
    const answer = answers.shift() ?? 'erased';
    await hands.advance(eachTakesMs);
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const logger = createLogger({ level: 'info', destination: { write: (line: string) => void logs.push(line) } });
  const database = { eraseDeleted } as Parameters<typeof createEraseDeleted>[0]['database'];
  const erasing = createEraseDeleted({ database, clock, logger });
  return {
    ...erasing,
    ...{ clock, logs },
    asked: () => asked,
    /** Somebody corrects the machine's clock. */
    setBack: (milliseconds: number) => (setBackMs += milliseconds),
    /** From now on erasing takes so long. */
    slowDown: (milliseconds: number) => (eachTakesMs = milliseconds),
    /** A second goes by. */
    async tick() {
      await clock.advance(second);
      await erasing.eraseDue();
    },
  };
}

it('erases after the start what a process before has left', async () => {
  const { tick, asked } = world();
  await tick();
  await tick();
  expect(asked()).toBe(1);
});

it('erases once for many deletions in a row, and not while they go on', async () => {
  const { tick, deleted, asked } = world();
  await tick();
  deleted();
  await tick();
  deleted();
  await tick();
  expect(asked()).toBe(1);
  await tick();
  await tick();
  await tick();
  expect(asked()).toBe(2);
});

it('erases within five seconds, however long they go on', async () => {
  const { tick, deleted, asked } = world();
  await tick();
  for (let times = 0; times < 4; times += 1) {
    deleted();
    await tick();
  }
  expect(asked()).toBe(2);
});

it('tries again every second where somebody else reads, and says so once', async () => {
  const { tick, asked, logs } = world(Array.from({ length: 200 }, () => 'being-read' as const));
  for (let times = 0; times < 59; times += 1) await tick();
  expect([asked(), logs.length]).toEqual([59, 0]);
  for (let times = 0; times < 100; times += 1) await tick();
  expect([asked(), logs.length]).toEqual([159, 1]);
});

it('tries again after a minute where the database fails, and forgets nothing', async () => {
  const { tick, asked } = world([new Error('disk')]);
  await expect(tick()).rejects.toThrow('disk');
  for (let times = 0; times < 59; times += 1) await tick();
  expect(asked()).toBe(1);
  await tick();
  await tick();
  expect(asked()).toBe(2);
});

it('does not lose what is deleted while it erases', async () => {
  const { clock, eraseDue, deleted, tick, asked } = world();
  await clock.advance(second);
  const erasing = eraseDue();
  deleted();
  await erasing;
  await tick();
  await tick();
  expect(asked()).toBe(2);
});

it('erases what is left at the end, and takes no failure for a reason not to end', async () => {
  const { deleted, finish, tick, asked } = world(['erased', new Error('disk')]);
  await tick();
  await finish();
  expect(asked()).toBe(1);
  deleted();
  await finish();
  expect(asked()).toBe(2);
});

it('says once that the file is too large to be rid of everything, and leaves it at that until the next deletion', async () => {
  const { tick, deleted, asked, logs } = world(['too-large', 'too-large', 'too-large']);
  for (let times = 0; times < 10; times += 1) await tick();
  expect(asked()).toBe(1);
  deleted();
  for (let times = 0; times < 10; times += 1) await tick();
  expect(asked()).toBe(2);
  expect(logs).toEqual([expect.stringContaining('VACUUM')]);
});

it('tries again after a minute where the disk has no room, and says so', async () => {
  const { tick, asked, logs } = world(['no-room']);
  for (let times = 0; times < 60; times += 1) await tick();
  expect([asked(), logs]).toEqual([1, [expect.stringContaining('room')]]);
  await tick();
  await tick();
  expect([asked(), logs.length]).toEqual([2, 1]);
});

it('erases within five seconds, also where the clock is set back by hours', async () => {
  const { tick, deleted, setBack, asked } = world(['erased', new Error('disk')]);
  await tick();
  deleted();
  setBack(3600 * second);
  for (let times = 0; times < 4; times += 1) await tick().catch(() => {});
  expect(asked()).toBe(2);
  setBack(3600 * second);
  for (let times = 0; times < 61; times += 1) await tick();
  expect(asked()).toBe(3);
});

it('tells how long everybody had to wait where that was long', async () => {
  const { tick, deleted, slowDown, logs } = world();
  slowDown(900);
  await tick();
  expect(logs).toEqual([]);
  slowDown(1100);
  deleted();
  for (let times = 0; times < 3; times += 1) await tick();
  expect(logs).toEqual([expect.stringContaining('"milliseconds":1100')]);
});
