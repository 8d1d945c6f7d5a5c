import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { GenerationLog, WakeReason } from '../../../src/features/generations/generation-log.ts';
import { createMemoryLog } from '../../../src/features/generations/memory-log.ts';
import { createManualClock, type ManualClock } from '../../platform/manual-clock.ts';
import { at, chunk, done, entries, resync, sessionId, start } from './events.ts';

const other = '01990000-0000-7000-8000-0123456789ac';
const bufferMilliseconds = 60_000;
const beginning = at('0-0');

let clock: ManualClock;
let log: GenerationLog;

beforeEach(() => {
  clock = createManualClock();
  log = createMemoryLog({ clock, bufferMilliseconds });
});

async function places(after = '0-0', session = sessionId): Promise<string[]> {
  return (await log.read(session, at(after))).map(({ position: { fence, number } }) => `${fence}-${number}`);
}

describe('the memory log', () => {
  it('is empty for a session that it knows nothing of', async () => {
    expect(await log.read(sessionId, beginning)).toEqual([]);
  });

  it('gives what was appended, in order, to whoever reads', async () => {
    const written = entries('0-0', ['1-1', start()], ['1-2', chunk('one')], ['1-3', chunk('two')]);
    expect(await log.append(sessionId, written.slice(0, 1))).toBe(true);
    expect(await log.append(sessionId, written.slice(1))).toBe(true);
    expect(await log.read(sessionId, beginning)).toEqual(written);
    expect(await log.read(sessionId, beginning)).toEqual(written);
  });

  it('gives what comes after a place, whether or not there is an entry at it', async () => {
    await log.append(
      sessionId,
      entries('0-0', ['1-1', start()], ['1-2', chunk('a')], ['3-1', resync('')], ['3-2', done('')]),
    );
    expect(await places('1-1')).toEqual(['1-2', '3-1', '3-2']);
    expect(await places('1-7')).toEqual(['3-1', '3-2']);
    expect(await places('2-0')).toEqual(['3-1', '3-2']);
    expect(await places('3-2')).toEqual([]);
    expect(await places('9-9')).toEqual([]);
  });

  it('tells nothing from before a deletion, also when that comes late', async () => {
    const deleted = (messageId: string) => ({ type: 'message-deleted' as const, messageId });
    await log.append(sessionId, entries('0-0', ['1-1', start()], ['1-2', chunk('gone')], ['1-3', done('gone')]));
    expect(await log.append(sessionId, entries('1-3', ['2-1', deleted('first')]))).toBe(true);
    expect(await places()).toEqual(['2-1']);
    await log.append(sessionId, entries('3-1', ['4-1', start()]));
    expect(await log.append(sessionId, entries('2-1', ['3-1', deleted('second')]))).toBe(false);
    expect(await places()).toEqual(['4-1']);
    await log.append(sessionId, entries('4-1', ['4-2', done('')]));
    await clock.advance(bufferMilliseconds);
    expect(await places()).toEqual([]);
  });

  it('keeps the sessions apart', async () => {
    await log.append(sessionId, entries('0-0', ['1-1', start()]));
    await log.append(other, entries('0-0', ['5-1', start()]));
    expect([await places(), await places('0-0', other)]).toEqual([['1-1'], ['5-1']]);
  });

  it('gives a long log in pieces', async () => {
    const texts = Array.from({ length: 700 }, (_, index): [string, ReturnType<typeof chunk>] => [
      `1-${index + 1}`,
      chunk('x'),
    ]);
    await log.append(sessionId, entries('1-0', ...texts));
    const read: string[] = [];
    let pieces = 0;
    for (let piece = await places(); piece.length > 0; piece = await places(read.at(-1))) {
      read.push(...piece);
      pieces += 1;
    }
    expect(read).toEqual(texts.map(([place]) => place));
    expect(pieces).toBeGreaterThan(2);
  });

  it('refuses what comes late, and adds nothing of it', async () => {
    await log.append(sessionId, entries('0-0', ['1-1', start()], ['1-2', chunk('a')]));
    await log.append(sessionId, entries('2-0', ['2-1', resync('')], ['2-2', done('')]));
    expect(await log.append(sessionId, entries('1-2', ['1-3', chunk('zombie')]))).toBe(false);
    expect(await log.append(sessionId, entries('2-1', ['2-2', done('twice')]))).toBe(false);
    expect(await places()).toEqual(['1-1', '1-2', '2-1', '2-2']);
  });

  it('goes on refusing after the entries themselves are forgotten', async () => {
    const leave = log.subscribe(sessionId, () => {});
    await log.append(sessionId, entries('0-0', ['2-1', start()], ['2-2', done('')]));
    await clock.advance(bufferMilliseconds);
    expect(await log.append(sessionId, entries('1-2', ['1-3', chunk('zombie')]))).toBe(false);
    expect(await places()).toEqual([]);
    leave();
  });
});

describe('the buffer of the memory log', () => {
  it('keeps a generation for its time after the end, and no longer', async () => {
    await log.append(sessionId, entries('0-0', ['1-1', start()], ['1-2', done('')]));
    await clock.advance(bufferMilliseconds - 1);
    expect(await places()).toEqual(['1-1', '1-2']);
    await clock.advance(1);
    expect(await places()).toEqual([]);
  });

  it('keeps one that runs for as long as it runs', async () => {
    await log.append(sessionId, entries('0-0', ['1-1', start()]));
    await clock.advance(100 * bufferMilliseconds);
    expect(await places()).toEqual(['1-1']);
  });

  it('forgets one generation and leaves the next', async () => {
    await log.append(sessionId, entries('0-0', ['1-1', start()], ['1-2', done('')]));
    await clock.advance(1000);
    await log.append(sessionId, entries('1-2', ['2-1', start()], ['2-2', chunk('a')]));
    await clock.advance(bufferMilliseconds - 1000);
    expect(await places()).toEqual(['2-1', '2-2']);
  });

  it('lets the oldest entries go when there is too much text', async () => {
    log = createMemoryLog({ clock, bufferMilliseconds, maxBytes: 10_000 });
    for (let number = 1; number <= 20; number += 1) {
      await log.append(sessionId, entries(`1-${number - 1}`, [`1-${number}`, chunk('x'.repeat(500))]));
    }
    const kept = await places();
    expect(kept.at(-1)).toBe('1-20');
    expect(kept.length).toBeGreaterThan(1);
    expect(kept.length).toBeLessThan(10);
    expect(kept).toEqual(kept.map((_, index) => `1-${20 - kept.length + 1 + index}`));
  });

  it('keeps the newest entry however large it is', async () => {
    log = createMemoryLog({ clock, bufferMilliseconds, maxBytes: 1000 });
    await log.append(sessionId, entries('0-0', ['1-1', start()], ['1-2', chunk('x'.repeat(5000))]));
    expect(await places()).toEqual(['1-2']);
  });

  it('counts the text again after it has forgotten some', async () => {
    log = createMemoryLog({ clock, bufferMilliseconds, maxBytes: 10_000 });
    for (let fence = 1; fence <= 5; fence += 1) {
      const text = 'x'.repeat(3000);
      await log.append(
        sessionId,
        entries('0-0', [`${fence}-1`, start()], [`${fence}-2`, chunk(text)], [`${fence}-3`, done('')]),
      );
      expect(await places()).toHaveLength(3);
      await clock.advance(bufferMilliseconds);
    }
  });

  it('keeps of a deleted session nothing but its end, and refuses late writers', async () => {
    const wake = vi.fn<(reason: WakeReason) => void>();
    log.subscribe(sessionId, wake);
    await log.append(sessionId, entries('0-0', ['1-1', start()]));
    wake.mockClear();
    const event = { type: 'session-deleted', sessionId } as const;
    await log.replace(sessionId, { position: { fence: 2, number: 1 }, previous: { fence: 2, number: 0 }, event });
    expect(await places()).toEqual(['2-1']);
    expect(wake.mock.calls).toEqual([['row']]);
    expect(await log.append(sessionId, entries('1-1', ['1-2', chunk('late')]))).toBe(false);
  });
});

describe('the readers of the memory log', () => {
  it('are woken by entries, each of them, until they leave', async () => {
    const [first, second] = [vi.fn<(reason: WakeReason) => void>(), vi.fn<(reason: WakeReason) => void>()];
    const leave = log.subscribe(sessionId, first);
    log.subscribe(sessionId, second);
    await log.append(sessionId, entries('0-0', ['1-1', start()]));
    leave();
    await log.append(sessionId, entries('1-1', ['1-2', chunk('a')]));
    expect(first.mock.calls).toEqual([['entries']]);
    expect(second.mock.calls).toEqual([['entries'], ['entries']]);
  });

  it('are not woken by what is refused, nor by another session', async () => {
    await log.append(sessionId, entries('0-0', ['2-1', start()]));
    const wake = vi.fn<(reason: WakeReason) => void>();
    log.subscribe(sessionId, wake);
    await log.append(sessionId, entries('0-0', ['1-1', start()]));
    await log.append(other, entries('0-0', ['1-1', start()]));
    log.nudge(other);
    expect(wake).not.toHaveBeenCalled();
  });

  it('are sent to the row by a nudge, and let go by a severing', () => {
    const wake = vi.fn<(reason: WakeReason) => void>();
    log.subscribe(sessionId, wake);
    log.nudge(sessionId);
    log.sever(sessionId);
    expect(wake.mock.calls).toEqual([['row'], ['severed']]);
  });

  it('find the entries that are there when they are woken', async () => {
    const seen: Promise<string[]>[] = [];
    log.subscribe(sessionId, () => void seen.push(places()));
    await log.append(sessionId, entries('0-0', ['1-1', start()], ['1-2', chunk('a')]));
    expect(await Promise.all(seen)).toEqual([['1-1', '1-2']]);
  });
});
