import { setImmediate as turnEnd } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { textFrame } from '../../src/transports/ws-text-frame.ts';
import { WsWriter } from '../../src/transports/ws-writer.ts';
import type { Clock } from '../../src/platform/clock.ts';
import { createManualClock } from '../platform/manual-clock.ts';

const stallMs = 10_000;
const pieceBytes = 64 * 1024;
const mebibyte = 1024 * 1024;

/**
 * The bytes below a WebSocket, as a Node.js stream has them: what the operating system does not take at once waits with all
 * that is written behind it, and is taken a write at a time when the test says so.
 */
function connection({ takes = Infinity, clock = createManualClock() }: { takes?: number; clock?: Clock } = {}) {
  const writes: Buffer[] = [];
  const waiting: { bytes: number; taken: (() => void) | undefined }[] = [];
  let room = takes;
  const signs: number[] = [];
  const state = { isOpen: true, pending: 0, cuts: 0 };
  const stream = {
    get isOpen() {
      return state.isOpen;
    },
    get pending() {
      return state.pending;
    },
    write(bytes: Buffer, taken?: () => void) {
      if (bytes.length > 0) writes.push(bytes);
      if (waiting.length > 0 || bytes.length > room) {
        state.pending += bytes.length;
        waiting.push({ bytes: bytes.length, taken });
      } else room -= bytes.length;
    },
    ping: (sign: number) => void signs.push(sign),
    terminate() {
      state.isOpen = false;
    },
  };
  const writer = new WsWriter(stream, { clock, stallMs, onCut: () => void (state.cuts += 1) });
  function take() {
    for (const { bytes, taken } of waiting.splice(0)) {
      state.pending -= bytes;
      taken?.();
    }
  }
  return {
    ...{ writer, writes, signs, state },
    /** What goes out in the first write; what has come behind it meanwhile goes out in one more. */
    take,
    /** From now on everything is taken at once. */
    takeAll() {
      room = Infinity;
      take();
    },
    /** The messages that were written, short ones that are one frame each. */
    texts() {
      const all = Buffer.concat(writes);
      const texts: string[] = [];
      for (let start = 0; start < all.length;) {
        const end = start + 2 + (all[start + 1] ?? 0);
        texts.push(all.subarray(start + 2, end).toString());
        start = end;
      }
      return texts;
    },
  };
}

it('sends what is said in one turn in one go, at its end, in order', async () => {
  const { writer, writes, texts } = connection();
  writer.send('one');
  await Promise.resolve();
  writer.send('two');
  expect(writes).toEqual([]);
  expect(writer.buffered).toBeGreaterThan(0);
  await turnEnd();
  expect(writes).toHaveLength(1);
  expect(texts()).toEqual(['one', 'two']);
  expect(writer.buffered).toBe(0);
  writer.send('three');
  await turnEnd();
  expect(writes).toHaveLength(2);
  expect(texts()).toEqual(['one', 'two', 'three']);
});

it('hands over at once what many are told, the first of a turn, and gathers what follows it', async () => {
  const { writer, writes, texts } = connection();
  const first = textFrame('one');
  writer.sendFrameAtOnce(first);
  expect(writes).toEqual([first]);
  expect(writer.buffered).toBe(0);
  writer.sendFrameAtOnce(textFrame('two'));
  writer.send('three');
  writer.sendFrameAtOnce(textFrame('four'));
  expect(writes).toHaveLength(1);
  await turnEnd();
  expect(writes).toHaveLength(2);
  expect(texts()).toEqual(['one', 'two', 'three', 'four']);
  writer.sendFrameAtOnce(textFrame('five'));
  expect(writes).toHaveLength(3);
});

it('lets nothing overtake what waits for the end of the turn, or for the reader', async () => {
  const { writer, texts, takeAll, writes } = connection({ takes: 12 });
  writer.send('one');
  writer.sendFrameAtOnce(textFrame('two'));
  expect(writes).toEqual([]);
  await turnEnd();
  expect(texts()).toEqual(['one', 'two']);
  writer.sendFrameAtOnce(textFrame('three'));
  expect(writer.buffered).toBeGreaterThan(0);
  await turnEnd();
  writer.sendFrameAtOnce(textFrame('four'));
  expect(writes).toHaveLength(2);
  takeAll();
  expect(texts()).toEqual(['one', 'two', 'three', 'four']);
  expect(writer.buffered).toBe(0);
});

it('hands over nothing at once behind the last word', () => {
  const { writer, writes, state } = connection();
  state.isOpen = false;
  writer.sendFrameAtOnce(textFrame('too late'));
  expect(writes).toEqual([]);
});

it('cuts who does not take what was handed over at once', async () => {
  const clock = createManualClock();
  const { writer, writes, state } = connection({ takes: 0, clock });
  writer.sendFrameAtOnce(textFrame('one'));
  await clock.advance(stallMs);
  await turnEnd();
  expect(state.cuts).toBe(1);
  writer.sendFrameAtOnce(textFrame('two'));
  expect(writes).toHaveLength(1);
});

it('calls back when all is taken, also where it is taken at once', async () => {
  const { writer, takeAll } = connection({ takes: 10 });
  let emptied = 0;
  writer.send('short');
  writer.whenEmpty(() => (emptied += 1));
  expect(emptied).toBe(0);
  await turnEnd();
  expect(emptied).toBe(1);
  writer.send('too long for it');
  writer.whenEmpty(() => (emptied += 1));
  await turnEnd();
  expect(emptied).toBe(1);
  takeAll();
  expect(emptied).toBe(2);
});

it('lets go of all who wait once what was before them is taken', async () => {
  const { writer } = connection();
  writer.send('x'.repeat(300_000));
  const admitted: number[] = [];
  for (const who of [1, 2, 3]) void writer.ready()?.then(() => admitted.push(who));
  await turnEnd();
  for (const turn of [1, 2, 3]) {
    await turnEnd();
    expect(admitted.slice(0, turn)).toEqual([1, 2, 3].slice(0, turn));
  }
});

it('cuts who has taken nothing for so long, and nobody who takes', async () => {
  const clock = createManualClock();
  const { writer, state, take } = connection({ takes: 0, clock });
  writer.send('one');
  await turnEnd();
  await clock.advance(stallMs - 1);
  take();
  await clock.advance(stallMs);
  writer.send('two');
  await turnEnd();
  await clock.advance(stallMs - 1);
  expect(state.cuts).toBe(0);
  const stalled = connection({ takes: 0, clock });
  stalled.writer.send('one');
  await turnEnd();
  await clock.advance(stallMs - 1);
  expect(stalled.state.cuts).toBe(0);
  await clock.advance(1);
  await turnEnd();
  expect(stalled.state).toMatchObject({ cuts: 1, isOpen: false });
});

it('writes nothing any more behind the last word, and is empty', async () => {
  const { writer, writes, state } = connection();
  writer.send('one');
  state.isOpen = false;
  let isEmpty = false;
  writer.whenEmpty(() => (isEmpty = true));
  await turnEnd();
  expect(writes).toEqual([]);
  expect([writer.buffered, isEmpty]).toEqual([0, true]);
});

it('cuts nobody for what was said in the very turn in which it looks', async () => {
  const due: (() => void)[] = [];
  let now = 0;
  // Timers of one turn, as an event loop that is late runs them.
  const clock = { now: () => now, after: (_: number, callback: () => void) => (due.push(callback), () => undefined) };
  const { writer, state, takeAll } = connection({ takes: 0, clock });
  writer.send('one');
  await turnEnd();
  takeAll();
  expect(due).toHaveLength(1);
  now += stallMs;
  writer.send('two');
  for (const look of due.splice(0)) look();
  await turnEnd();
  expect([state.cuts, writer.buffered]).toEqual([0, 0]);
});

it('takes each piece of a long message for progress', async () => {
  const clock = createManualClock();
  const { writer, state, take } = connection({ takes: 0, clock });
  writer.send('x'.repeat(10 * pieceBytes));
  await turnEnd();
  for (let piece = 0; piece < 10; piece += 1) {
    await clock.advance(stallMs - 1);
    expect(writer.buffered).toBeGreaterThan(0);
    take();
  }
  expect([writer.buffered, state.cuts]).toEqual([0, 0]);
});

it('takes signs of the client for progress, for which it asks on the way', async () => {
  const clock = createManualClock();
  const { writer, state, signs } = connection({ takes: 12 * pieceBytes, clock });
  writer.send('x'.repeat(20 * pieceBytes));
  await turnEnd();
  // Most was taken at once, and lies in the system's buffers.
  expect(signs).toEqual([1, 2, 3, 4, 5, 6]);
  for (const sign of [1, 2, 4, 6]) {
    await clock.advance(stallMs - 1);
    writer.heard(sign);
  }
  expect(state.cuts).toBe(0);
  // What it was not asked for, or has said before, says nothing.
  for (const sign of [6, 7, Number.NaN]) writer.heard(sign);
  await clock.advance(stallMs - 1);
  for (const sign of [5, 6, 7, Number.NaN]) writer.heard(sign);
  await clock.advance(1);
  await turnEnd();
  expect(state.cuts).toBe(1);
});

it('does not ask for more signs than a client may owe, nor for any of who keeps up', async () => {
  const behind = connection();
  behind.writer.send('x'.repeat(200 * pieceBytes));
  await turnEnd();
  expect(behind.signs).toHaveLength(40);
  behind.writer.heard(40);
  behind.writer.send('x'.repeat(4 * pieceBytes));
  await turnEnd();
  expect(behind.signs.length).toBeGreaterThan(40);
  const swift = connection();
  for (let count = 0; count < 500; count += 1) {
    swift.writer.send('x'.repeat(1000));
    await turnEnd();
  }
  expect(swift.signs).toEqual([]);
});

it('hands over no more than a piece at a time to a reader that is behind', async () => {
  const { writer, writes, take } = connection({ takes: 0 });
  for (let count = 0; count < 1000; count += 1) writer.send('x'.repeat(100));
  await turnEnd();
  expect(writes).toHaveLength(1);
  for (let round = 2; writer.buffered > 0; round += 1) {
    take();
    expect(writes.length).toBeLessThanOrEqual(round);
  }
  expect(Math.max(...writes.map(({ length }) => length))).toBeLessThanOrEqual(pieceBytes);
  expect(writes.reduce((sum, { length }) => sum + length, 0)).toBe(1000 * 102);
});

it('forgives a message that is longer than may be owed, and forgets it when it is through', async () => {
  const { writer, state, take } = connection({ takes: 0 });
  for (let round = 0; round < 3; round += 1) {
    writer.send('x'.repeat(3 * mebibyte));
    await turnEnd();
    writer.send('behind it');
    expect(state.cuts).toBe(0);
    while (writer.buffered > 0) take();
  }
  // Each is through, so that none of them excuses this.
  for (let count = 0; count < 9; count += 1) writer.send('x'.repeat(200_000));
  expect(state.cuts).toBe(1);
});

it('offers what was said in one turn before it cuts for it', async () => {
  const { writer, state, texts } = connection();
  for (let count = 0; count < 20_000; count += 1) writer.send('PONG');
  await turnEnd();
  expect(state.cuts).toBe(0);
  expect(texts()).toHaveLength(20_000);
});

it('counts what short messages cost beside their bytes', async () => {
  const { writer, state } = connection({ takes: 0 });
  for (let turn = 0; turn < 10_000 && state.cuts === 0; turn += 1) {
    writer.send('PONG');
    if (turn % 100 === 0) await turnEnd();
  }
  expect(state.cuts).toBe(1);
});
