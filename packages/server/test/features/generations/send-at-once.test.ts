import type { GenerationEvent } from '@chat-service/shared/events';
import { beforeEach, expect, it } from 'vitest';
import type { LogEntry } from '../../../src/features/generations/generation-log.ts';
import { createMemoryLog } from '../../../src/features/generations/memory-log.ts';
import { createSendAtOnce } from '../../../src/features/generations/send-at-once.ts';
import type { SessionReader } from '../../../src/features/generations/session-cursor.ts';
import { createManualClock } from '../../platform/manual-clock.ts';

const sessionId = '01890000-0000-7000-8000-000000000001';
const streamId = 'answer';
const at = (number: number) => ({ fence: 1, number });

function text(number: number, previous = number - 1): LogEntry {
  return { position: at(number), previous: at(previous), event: { type: 'chunk', streamId, text: `${number}` } };
}

let log: ReturnType<typeof createMemoryLog>;
let reader: SessionReader<never>;
let sent: string[];
let room: number;
const sink = {
  write(_id: string, event: object) {
    if (room === 0) return false;
    room -= 1;
    sent.push((event as GenerationEvent & { text: string }).text);
    return true;
  },
};

beforeEach(() => {
  log = createMemoryLog({ clock: createManualClock(), bufferMilliseconds: 60_000 });
  reader = {
    sessionId,
    cursor: { last: at(1), answer: { id: streamId, length: 0 }, isAmidAnswer: false },
    notices: null,
  };
  sent = [];
  room = 10;
});

it('sends every text that has come since, once', async () => {
  await log.append(sessionId, [text(2), text(3)]);
  const sendAtOnce = createSendAtOnce(log);
  expect(sendAtOnce(reader, sink)).toBe(true);
  expect(sendAtOnce(reader, sink)).toBe(false);
  expect(sent).toEqual(['2', '3']);
  expect(reader.cursor).toMatchObject({ last: at(3), answer: { id: streamId, length: 2 } });
});

it('leaves what has no room, and all after it, to the usual way', async () => {
  room = 1;
  await log.append(sessionId, [text(2), text(3), text(4)]);
  expect(createSendAtOnce(log)(reader, sink)).toBe(false);
  expect(sent).toEqual(['2']);
  expect(reader.cursor.last).toEqual(at(2));
});

it('leaves what is no text, and all after it, to the usual way', async () => {
  const deleted: LogEntry = {
    position: at(3),
    previous: at(2),
    event: { type: 'message-deleted', messageId: 'message' },
  };
  await log.append(sessionId, [text(2), deleted, text(4)]);
  expect(createSendAtOnce(log)(reader, sink)).toBe(false);
  expect(sent).toEqual([]);
});

it('sends nothing behind a gap', async () => {
  await log.append(sessionId, [text(3)]);
  expect(createSendAtOnce(log)(reader, sink)).toBe(false);
  expect(sent).toEqual([]);
  expect(reader.cursor.last).toEqual(at(1));
});
