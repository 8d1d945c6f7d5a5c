import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { GenerationEvent } from '@chat-service/shared/events';
import {
  createFollowGeneration,
  type FollowGeneration,
  type ReaderOrigin,
} from '../../../src/features/generations/follow-generation.ts';
import type { PositionedEvent } from '../../../src/features/generations/reader-cursor.ts';
import type { GenerationLog } from '../../../src/features/generations/generation-log.ts';
import type { GenerationSnapshot, ReadSnapshot } from '../../../src/features/generations/generation-snapshot.ts';
import type { GenerationRow } from '../../../src/features/generations/generations-store.ts';
import { createMemoryLog } from '../../../src/features/generations/memory-log.ts';
import { ConnectionSevered } from '../../../src/platform/connection-severed.ts';
import { createManualClock, type ManualClock } from '../../platform/manual-clock.ts';
import { at, chunk, done, entries, message, resync, sessionId, start, streamId } from './events.ts';
import { emptyGeneration } from './whole-rows.ts';

const claimFence = 1;

let clock: ManualClock;
let log: GenerationLog;
let readSnapshot: ReturnType<typeof vi.fn<ReadSnapshot>>;
let watchers: Set<() => void>;
let follow: FollowGeneration;

/** The row with its text up to `place`; with `end`, as it was stored under that position. */
function row(
  place: string,
  text: string,
  options: { end?: string; fields?: Partial<GenerationRow> } = {},
): GenerationSnapshot {
  const { end, fields = {} } = options;
  const status = end === undefined ? 'running' : 'complete';
  return {
    row: { ...emptyGeneration(streamId, sessionId, claimFence), status, ...fields },
    message: message(text, end === undefined ? {} : { status: 'complete', finishReason: 'stop' }),
    userMessage: null,
    title: null,
    textPosition: at(place),
    endPosition: end === undefined ? null : at(end),
  };
}

beforeEach(() => {
  clock = createManualClock();
  log = createMemoryLog({ clock, bufferMilliseconds: 60_000 });
  readSnapshot = vi.fn<ReadSnapshot>().mockResolvedValue(row('1-1', ''));
  watchers = new Set();
  const watch = {
    watch(_id: string, changed: () => void) {
      watchers.add(changed);
      return () => void watchers.delete(changed);
    },
    stop: () => Promise.resolve(),
  };
  follow = createFollowGeneration({ log, watch, readSnapshot, clock });
});

const append = (previous: string, ...events: [place: string, event: GenerationEvent][]) =>
  log.append(sessionId, entries(previous, ...events));
const rowChanges = (snapshot: GenerationSnapshot) => {
  readSnapshot.mockResolvedValue(snapshot);
  for (const changed of watchers) changed();
};

/** A reader that takes what it is given, as it is given. */
function read(from: ReaderOrigin = 'start') {
  const controller = new AbortController();
  const seen: [place: string, type: string, text: string | null][] = [];
  const take = ({ position: { fence, number }, event }: PositionedEvent) => {
    const text = event.type === 'chunk' ? event.text : 'message' in event ? event.message.content : null;
    seen.push([`${fence}-${number}`, event.type, text]);
  };
  let isOver = false;
  const over = (async () => {
    const request = { generationId: streamId, sessionId, claimFence, from };
    for await (const event of follow(request, controller.signal)) take(event);
  })().finally(() => {
    isOver = true;
  });
  over.catch(() => {});
  return {
    seen,
    over,
    leave: () => controller.abort(),
    get isOver() {
      return isOver;
    },
  };
}

const settle = () => clock.advance(0);

describe('a reader of a running generation', () => {
  it('is given what is there and what comes, to the end', async () => {
    await append('0-0', ['1-1', start()], ['1-2', chunk('one ')]);
    const reader = read();
    await settle();
    await append('1-2', ['1-3', chunk('two')]);
    await append('1-3', ['1-4', done('one two')]);
    await reader.over;
    expect(reader.seen).toEqual([
      ['1-1', 'start', null],
      ['1-2', 'chunk', 'one '],
      ['1-3', 'chunk', 'two'],
      ['1-4', 'done', 'one two'],
    ]);
  });

  it('is given only what comes after the event that it has seen', async () => {
    await append('0-0', ['1-1', start()], ['1-2', chunk('one ')], ['1-3', chunk('two')], ['1-4', done('one two')]);
    const reader = read(at('1-2'));
    await reader.over;
    expect(reader.seen.map(([place]) => place)).toEqual(['1-3', '1-4']);
  });

  it('is given a log that is longer than one look', async () => {
    const texts = Array.from({ length: 600 }, (_, index): [string, GenerationEvent] => [
      `1-${index + 2}`,
      chunk(`${index} `),
    ]);
    await append('0-0', ['1-1', start()], ...texts, ['1-602', done('all')]);
    const reader = read();
    await reader.over;
    expect(reader.seen.slice(1, -1).map(([place]) => place)).toEqual(texts.map(([place]) => place));
  });

  it('is given events one by one that came to the log while it looked at the row', async () => {
    await append('1-0', ['1-1', start()], ['1-2', chunk('a')]);
    readSnapshot.mockImplementation(async () => {
      await append('1-2', ['1-3', chunk('b')], ['1-4', chunk('c')], ['1-5', done('abc')]);
      return row('1-4', 'abc', { end: '1-5' });
    });
    const reader = read(at('1-2'));
    await reader.over;
    expect(reader.seen).toEqual([
      ['1-3', 'chunk', 'b'],
      ['1-4', 'chunk', 'c'],
      ['1-5', 'done', 'abc'],
    ]);
  });

  it('is told the end by the row where the log came to hold only a part of the rest', async () => {
    await append('1-0', ['1-1', start()], ['1-2', chunk('a')]);
    readSnapshot.mockImplementation(async () => {
      await append('1-2', ['1-3', chunk('b')]);
      return row('1-4', 'abc', { end: '1-5' });
    });
    const reader = read(at('1-2'));
    await reader.over;
    expect(reader.seen).toEqual([
      ['1-3', 'chunk', 'b'],
      ['1-4', 'resync', 'abc'],
      ['1-5', 'done', 'abc'],
    ]);
  });

  it('is not given what belongs to another generation of the session', async () => {
    const next = '01990000-0000-7000-8000-00000000bbbb';
    readSnapshot.mockResolvedValue(row('1-2', 'mine', { end: '1-3' }));
    await append('0-0', ['1-1', start()], ['1-2', chunk('mine')]);
    await append('1-3', ['2-1', start(next)], ['2-2', chunk('theirs', next)]);
    const reader = read();
    await reader.over;
    expect(reader.seen.map(([place, type]) => [place, type])).toEqual([
      ['1-1', 'start'],
      ['1-2', 'chunk'],
      ['1-3', 'done'],
    ]);
  });

  it('leaves nothing behind when it goes', async () => {
    await append('0-0', ['1-1', start()]);
    const reader = read();
    await settle();
    expect(watchers.size).toBe(1);
    reader.leave();
    await reader.over;
    expect(watchers.size).toBe(0);
    await append('1-1', ['1-2', chunk('unheard')]);
    expect(reader.seen).toHaveLength(1);
  });
});

describe('a reader where the log has a gap', () => {
  it('is given the missing piece of text from the row, in one', async () => {
    await append('0-0', ['1-1', start()], ['1-2', chunk('one ')]);
    const reader = read();
    await settle();
    readSnapshot.mockResolvedValue(row('1-4', 'one two three '));
    await append('1-4', ['1-5', chunk('four')]);
    await settle();
    expect(reader.seen.slice(2)).toEqual([
      ['1-4', 'chunk', 'two three '],
      ['1-5', 'chunk', 'four'],
    ]);
  });

  it('is given nothing across it while the row does not know better', async () => {
    await append('0-0', ['1-1', start()]);
    const reader = read();
    await settle();
    await append('1-2', ['1-3', chunk('two')]);
    await clock.advance(5000);
    expect(reader.seen).toHaveLength(1);
    readSnapshot.mockResolvedValue(row('1-2', 'one '));
    await clock.advance(250);
    expect(reader.seen.slice(1)).toEqual([
      ['1-2', 'chunk', 'one '],
      ['1-3', 'chunk', 'two'],
    ]);
  });

  it('is given the whole text anew where its own is not known', async () => {
    readSnapshot.mockResolvedValue(row('1-4', 'one two three '));
    await append('1-4', ['1-5', chunk('four')]);
    const reader = read(at('1-2'));
    await settle();
    expect(reader.seen).toEqual([
      ['1-4', 'resync', 'one two three '],
      ['1-5', 'chunk', 'four'],
    ]);
  });

  it('is not given the terminal event across it', async () => {
    await append('0-0', ['1-1', start()]);
    const reader = read();
    await settle();
    readSnapshot.mockResolvedValue(row('1-3', 'one two', { end: '1-4' }));
    await append('1-3', ['1-4', done('one two')]);
    await reader.over;
    expect(reader.seen.slice(1)).toEqual([
      ['1-3', 'chunk', 'one two'],
      ['1-4', 'done', 'one two'],
    ]);
  });
});

describe('a reader without a log', () => {
  it('is given the start and the text so far, then every checkpoint, then the end', async () => {
    readSnapshot.mockResolvedValue(row('1-3', 'one two '));
    const reader = read();
    await settle();
    rowChanges(row('1-5', 'one two three four'));
    await settle();
    rowChanges(row('1-6', 'one two three four five', { end: '1-7' }));
    await reader.over;
    expect(reader.seen).toEqual([
      ['1-1', 'start', null],
      ['1-3', 'chunk', 'one two '],
      ['1-5', 'chunk', 'three four'],
      ['1-6', 'chunk', ' five'],
      ['1-7', 'done', 'one two three four five'],
    ]);
  });

  it('is given start, text and end of one that is over', async () => {
    readSnapshot.mockResolvedValue(row('1-6', 'the answer', { end: '1-7' }));
    const reader = read();
    await reader.over;
    expect(reader.seen).toEqual([
      ['1-1', 'start', null],
      ['1-6', 'chunk', 'the answer'],
      ['1-7', 'done', 'the answer'],
    ]);
  });

  it('is given only the end where it has all the text', async () => {
    readSnapshot.mockResolvedValue(row('1-6', 'the answer', { end: '1-7' }));
    const reader = read(at('1-6'));
    await reader.over;
    expect(reader.seen).toEqual([['1-7', 'done', 'the answer']]);
  });

  it('is given nothing after the end', async () => {
    readSnapshot.mockResolvedValue(row('1-6', 'the answer', { end: '1-7' }));
    const reader = read(at('1-7'));
    await reader.over;
    expect(reader.seen).toEqual([]);
  });

  it('is given nothing of what is gone', async () => {
    readSnapshot.mockResolvedValue(null);
    const reader = read();
    await reader.over;
    expect(reader.seen).toEqual([]);
  });

  it('waits for the admission of a claim', async () => {
    readSnapshot.mockResolvedValue({ ...row('0-0', '', { fields: { status: 'reserving' } }), message: null });
    const reader = read();
    await settle();
    expect(reader.seen).toEqual([]);
    rowChanges(row('1-1', ''));
    await settle();
    expect(reader.seen).toEqual([['1-1', 'start', null]]);
  });
});

describe('a reader whose last event cannot be served', () => {
  it('is given the whole text first, and goes on from there', async () => {
    readSnapshot.mockResolvedValue(row('1-2', 'one '));
    await append('0-0', ['1-1', start()], ['1-2', chunk('one ')], ['1-3', chunk('two')]);
    const reader = read('unknown');
    await settle();
    expect(reader.seen).toEqual([
      ['1-2', 'resync', 'one '],
      ['1-3', 'chunk', 'two'],
    ]);
  });

  it('is told the end of one that is over', async () => {
    readSnapshot.mockResolvedValue(row('1-6', 'the answer', { end: '1-7' }));
    const reader = read('unknown');
    await reader.over;
    expect(reader.seen.map(([place, type]) => [place, type])).toEqual([
      ['1-6', 'resync'],
      ['1-7', 'done'],
    ]);
  });
});

describe('a reader at a take-over', () => {
  const ended = () => row('2-1', 'one ', { end: '2-2', fields: { fence: 2 } });

  it('has the text that was never stored taken back, by the log', async () => {
    await append('0-0', ['1-1', start()], ['1-2', chunk('one ')], ['1-3', chunk('lost')]);
    const reader = read();
    await settle();
    await append('2-0', ['2-1', resync('one ')], ['2-2', done('one ')]);
    await reader.over;
    expect(reader.seen.slice(3)).toEqual([
      ['2-1', 'resync', 'one '],
      ['2-2', 'done', 'one '],
    ]);
  });

  it('has it taken back by the row where the log says nothing', async () => {
    await append('0-0', ['1-1', start()], ['1-2', chunk('one ')], ['1-3', chunk('lost')]);
    const reader = read();
    await settle();
    rowChanges(ended());
    await reader.over;
    expect(reader.seen.slice(3)).toEqual([
      ['2-1', 'resync', 'one '],
      ['2-2', 'done', 'one '],
    ]);
  });

  it('has its start first where the log begins with the take-over', async () => {
    readSnapshot.mockResolvedValue(ended());
    await append('2-0', ['2-1', resync('one ')], ['2-2', done('one ')]);
    const reader = read();
    await reader.over;
    expect(reader.seen.map(([place, type]) => [place, type])).toEqual([
      ['1-1', 'start'],
      ['2-1', 'chunk'],
      ['2-2', 'done'],
    ]);
  });
});

describe('a reader that cannot be served', () => {
  it('meets the refusal of what was never admitted', async () => {
    const refusal = { code: 'MODEL_UNAVAILABLE', retryAfter: 7 } as const;
    readSnapshot.mockResolvedValue({ ...row('0-0', '', { fields: { status: 'refused', refusal } }), message: null });
    await expect(read().over).rejects.toMatchObject({ code: 'MODEL_UNAVAILABLE', retryAfter: 7 });
  });

  it('meets what the database says at its first look', async () => {
    const away = new Error('away');
    readSnapshot.mockRejectedValue(away);
    await expect(read().over).rejects.toBe(away);
  });

  it('is let go, to come back, when the database goes away later', async () => {
    await append('0-0', ['1-1', start()]);
    const reader = read();
    await settle();
    readSnapshot.mockRejectedValue(new Error('away'));
    for (const changed of watchers) changed();
    await expect(reader.over).rejects.toBeInstanceOf(ConnectionSevered);
    expect(watchers.size).toBe(0);
  });

  it('is let go when the end cannot be stored', async () => {
    await append('0-0', ['1-1', start()]);
    const reader = read();
    await settle();
    log.sever(sessionId);
    await expect(reader.over).rejects.toBeInstanceOf(ConnectionSevered);
  });
});
