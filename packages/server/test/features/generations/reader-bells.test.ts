import { beforeEach, expect, it } from 'vitest';
import type { GenerationLog, LogEntry } from '../../../src/features/generations/generation-log.ts';
import { createLiveReaders, type LiveReaders } from '../../../src/features/generations/live-readers.ts';
import { createMemoryLog } from '../../../src/features/generations/memory-log.ts';
import { listen } from '../../../src/features/generations/reader-bells.ts';
import { createManualClock } from '../../platform/manual-clock.ts';

const sessionId = '01890000-0000-7000-8000-000000000001';
const at = (number: number) => ({ fence: 1, number });

function text(number: number): LogEntry {
  const event = { type: 'chunk' as const, streamId: 'answer', text: `${number}` };
  return { position: at(number), previous: at(number - 1), event };
}

function deletion(number: number): LogEntry {
  return { ...text(number), event: { type: 'message-deleted', messageId: 'message' } };
}

let clock: ReturnType<typeof createManualClock>;
let log: GenerationLog;
let liveReaders: LiveReaders;
/** Of the log, by all together. */
let subscriptions: number;

beforeEach(() => {
  clock = createManualClock();
  const memory = createMemoryLog({ clock, bufferMilliseconds: 60_000 });
  subscriptions = 0;
  log = {
    ...memory,
    subscribe(id, wake) {
      subscriptions += 1;
      const leave = memory.subscribe(id, wake);
      return () => {
        subscriptions -= 1;
        leave();
      };
    },
  };
  liveReaders = createLiveReaders(log);
});

/** A reader that has been told everything, and waits among the live ones. */
function reader({ takes = true, place = at(1) } = {}) {
  const bells = listen({
    log,
    sessionId,
    watch: { watch: () => () => undefined, stop: async () => {} },
    watched: 'row',
  });
  const cursor = { last: place, answer: null, isAmidAnswer: false };
  const passed: string[] = [];
  const notices = {
    listen: () => () => undefined,
    after: () => null,
    passed: (id: string) => void passed.push(id),
    now: () => null,
    wasIdle: () => undefined,
  };
  const controller = new AbortController();
  const way = { sink: { write: () => takes } };
  function wait() {
    bells.entries.clear();
    const { signal } = controller;
    return bells.waitWith((wake) => liveReaders.join({ sessionId, cursor, notices }, way, wake, signal), signal);
  }
  return { bells, passed, controller, wait };
}

it('listens once for all who wait, once for each that is woken, and not at all in the end', async () => {
  const readers = [reader(), reader(), reader({ takes: false })];
  expect(subscriptions).toBe(3);
  const waits = readers.map(({ wait }) => wait());
  expect(subscriptions).toBe(1);
  await log.append(sessionId, [text(2)]);
  await waits.at(-1);
  expect(subscriptions).toBe(2);
  await log.append(sessionId, [deletion(3)]);
  await Promise.all(waits);
  expect(subscriptions).toBe(3);
  for (const { bells } of readers) bells[Symbol.dispose]();
  expect(subscriptions).toBe(0);
});

it('leaves the log when it is disposed while it waits', async () => {
  const { bells, wait } = reader();
  void wait();
  bells[Symbol.dispose]();
  expect(subscriptions).toBe(0);
});

it('leaves nothing in the log where nobody could be sent anything', async () => {
  const readers = [reader({ takes: false }), reader({ takes: false })];
  const waits = readers.map(({ wait }) => wait());
  await log.append(sessionId, [text(2)]);
  await Promise.all(waits);
  for (const { bells } of readers) bells[Symbol.dispose]();
  expect(subscriptions).toBe(0);
});

it('hears the log between two waits', async () => {
  const { bells, wait } = reader();
  const waiting = wait();
  await log.append(sessionId, [deletion(2)]);
  await waiting;
  bells.entries.clear();
  await log.append(sessionId, [text(3)]);
  // Rung already: without that, nothing would ever end this wait.
  await expect(bells.entries.wait(new AbortController().signal)).resolves.toBeUndefined();
});

it('counts what was sent at once as told, for what is said behind it', async () => {
  const { passed, wait, controller } = reader();
  const waiting = wait();
  await log.append(sessionId, [text(2), text(3)]);
  controller.abort();
  await waiting;
  expect(passed).toEqual(['0000000100000003-00000001']);
});

it.each(['nudge', 'sever'] as const)(
  'misses no %s that comes right behind the entries which have woken it',
  async (what) => {
    const { bells, wait } = reader();
    const waiting = wait();
    void log.append(sessionId, [deletion(2)]);
    log[what](sessionId);
    await waiting;
    expect(bells).toMatchObject({ rowChanged: true, severed: what === 'sever' });
  },
);

it('keeps the log from forgetting how far it has come, so that it still refuses a late writer', async () => {
  const { wait } = reader({ place: at(2) });
  await log.append(sessionId, [text(1), deletion(2)]);
  const waiting = wait();
  await clock.advance(60_000);
  log.nudge(sessionId);
  await waiting;
  expect(await log.append(sessionId, [text(2)])).toBe(false);
});
