import type { GenerationEvent } from '@chat-service/shared/events';
import { getEventListeners } from 'node:events';
import { beforeEach, expect, it } from 'vitest';
import type { LogEntry } from '../../../src/features/generations/generation-log.ts';
import { createLiveReaders, type LiveReaders } from '../../../src/features/generations/live-readers.ts';
import { createMemoryLog } from '../../../src/features/generations/memory-log.ts';
import type { Position } from '../../../src/features/generations/position.ts';
import type { SessionReader } from '../../../src/features/generations/session-cursor.ts';
import { createManualClock } from '../../platform/manual-clock.ts';

const sessionId = '01890000-0000-7000-8000-000000000001';
const streamId = 'answer';
const at = (number: number) => ({ fence: 1, number });

function text(number: number, previous = number - 1): LogEntry {
  return { position: at(number), previous: at(previous), event: { type: 'chunk', streamId, text: `${number}` } };
}

const deleted: LogEntry = {
  position: at(3),
  previous: at(2),
  event: { type: 'message-deleted', messageId: 'message' },
};

let log: ReturnType<typeof createMemoryLog>;
let liveReaders: LiveReaders;

beforeEach(() => {
  log = createMemoryLog({ clock: createManualClock(), bufferMilliseconds: 60_000 });
  liveReaders = createLiveReaders(log);
});

/** A reader that waits at a place, and its client, which has room for so many texts. */
function waiting({ last = at(1), room = 10 }: { last?: Position; room?: number } = {}) {
  const cursor: SessionReader<never>['cursor'] = { last, answer: { id: streamId, length: 0 }, isAmidAnswer: false };
  const sent: string[] = [];
  const woken: string[] = [];
  const sentLast: string[] = [];
  const controller = new AbortController();
  const sink = {
    write(_id: string, event: object) {
      if (sent.length === room) return false;
      sent.push((event as GenerationEvent & { text: string }).text);
      return true;
    },
  };
  const way = { sink, onSent: (id: string) => void sentLast.push(id) };
  const join = () =>
    liveReaders.join({ sessionId, cursor, notices: null }, way, (why) => void woken.push(why), controller.signal);
  return { cursor, sent, woken, sentLast, controller, join, leave: join() };
}

it('sends every text, once, to all who wait, and brings them to its place', async () => {
  const [one, another] = [waiting(), waiting()];
  await log.append(sessionId, [text(2), text(3)]);
  await log.append(sessionId, [text(4)]);
  for (const reader of [one, another]) {
    expect(reader.sent).toEqual(['2', '3', '4']);
    reader.leave?.();
    reader.leave?.();
    expect(reader.cursor).toMatchObject({ last: at(4), answer: { id: streamId, length: 3 } });
    expect(reader.sentLast).toEqual(['0000000100000004-00000001']);
    expect(reader.woken).toEqual([]);
    expect(getEventListeners(reader.controller.signal, 'abort')).toEqual([]);
  }
  await log.append(sessionId, [text(5)]);
  expect(one.sent).toHaveLength(3);
});

it('takes in who comes to where they are, and counts for it what it was sent itself', async () => {
  const early = waiting();
  await log.append(sessionId, [text(2)]);
  const late = waiting({ last: at(2) });
  await log.append(sessionId, [text(3)]);
  expect(early.sent).toEqual(['2', '3']);
  expect(late.sent).toEqual(['3']);
  late.leave?.();
  expect(late.cursor).toMatchObject({ last: at(3), answer: { length: 1 } });
});

it("leaves who stands elsewhere to wait for what comes there, and lets it stand in nobody's way", async () => {
  const elsewhere = waiting({ last: at(7) });
  const one = waiting();
  await log.append(sessionId, [text(2)]);
  expect(elsewhere.sent).toEqual([]);
  expect(one.sent).toEqual(['2']);
  elsewhere.leave?.();
  await log.append(sessionId, [text(3)]);
  expect(one.sent).toEqual(['2', '3']);
});

it('wakes the one whose client has no room, at its own place, and nobody else', async () => {
  const [slow, quick] = [waiting({ room: 1 }), waiting()];
  await log.append(sessionId, [text(2), text(3), text(4)]);
  expect(slow).toMatchObject({ sent: ['2'], woken: ['entries'], cursor: { last: at(2), answer: { length: 1 } } });
  expect(quick).toMatchObject({ sent: ['2', '3', '4'], woken: [] });
});

it('wakes all for what is no text, which they meet at its place', async () => {
  const readers = [waiting(), waiting()];
  await log.append(sessionId, [text(2)]);
  await log.append(sessionId, [deleted, text(4)]);
  for (const reader of readers) {
    expect(reader).toMatchObject({ sent: ['2'], woken: ['entries'], cursor: { last: at(2) } });
  }
});

it('sends nothing behind a gap', async () => {
  const reader = waiting();
  await log.append(sessionId, [text(3)]);
  expect(reader).toMatchObject({ sent: [], woken: ['entries'], cursor: { last: at(1) }, sentLast: [] });
});

it('does not run one answer together with another', async () => {
  const reader = waiting();
  const other: LogEntry = { ...text(3), event: { type: 'chunk', streamId: 'another', text: '3' } };
  await log.append(sessionId, [text(2), other]);
  expect(reader).toMatchObject({ sent: ['2'], woken: ['entries'], cursor: { last: at(2), answer: { length: 1 } } });
});

it.each(['row', 'severed'] as const)('passes on to all that the log says: %s', async (reason) => {
  const readers = [waiting(), waiting()];
  await log.append(sessionId, [text(2)]);
  if (reason === 'row') log.nudge(sessionId);
  else log.sever(sessionId);
  for (const reader of readers) expect(reader).toMatchObject({ woken: [reason], cursor: { last: at(2) } });
});

it('sends nothing to one whose signal has aborted, from that moment on', async () => {
  const [ended, other] = [waiting(), waiting()];
  await log.append(sessionId, [text(2)]);
  ended.controller.abort();
  await log.append(sessionId, [text(3)]);
  expect(ended).toMatchObject({ sent: ['2'], cursor: { last: at(2) } });
  expect(ended.sentLast).toHaveLength(1);
  expect(other.sent).toEqual(['2', '3']);
  expect(ended.join()).toBeNull();
});

it('leaves nothing in the log when all have left, and begins anew wherever the next one waits', async () => {
  const first = waiting();
  first.leave?.();
  const next = waiting({ last: at(5) });
  await log.append(sessionId, [text(6)]);
  expect(next.sent).toEqual(['6']);
});
