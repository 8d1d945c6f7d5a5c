import { setImmediate as turnEnd } from 'node:timers/promises';
import { beforeEach, expect, it } from 'vitest';
import { createWsLiveSink, replyHead } from '../../src/transports/ws-live-sink.ts';
import { WsWriter } from '../../src/transports/ws-writer.ts';
import { createManualClock } from '../platform/manual-clock.ts';

const event = { type: 'chunk', streamId: 'answer', text: 'Löve — "quoted"\n\u2028' };
let written: Buffer[];
let silent: boolean;

beforeEach(() => {
  written = [];
  silent = false;
});

/** A connection whose client takes nothing. */
function connection(call: Parameters<typeof replyHead>[0]) {
  const nothing = () => undefined;
  const write = (frame: Buffer) => void (frame.length > 0 && written.push(frame));
  const stream = { isOpen: true, pending: 1, write, ping: nothing, terminate: nothing };
  const writer = new WsWriter(stream, { clock: createManualClock(), stallMs: 10_000, onCut: () => undefined });
  return { writer, sink: createWsLiveSink(replyHead(call), writer, () => silent) };
}

/** What is in a frame of medium length: its header is four bytes (RFC 6455, section 5.2). */
const payloadOf = (frame: Buffer | undefined) => JSON.parse(frame?.subarray(4).toString() ?? '') as unknown;

it.each([{ id: 7 }, { id: 'seven"' }, { id: 7, jsonrpc: '2.0' as const }])(
  'says what tRPC would say to %j',
  async (call) => {
    const { sink } = connection(call);
    expect(sink.write('id-1', event)).toBe(true);
    await turnEnd();
    const result = { type: 'data', id: 'id-1', data: { json: { id: 'id-1', data: event } } };
    expect(written.map(payloadOf)).toEqual([{ ...call, result }]);
  },
);

it('serialises an event once for all who are sent it under the same call id', async () => {
  const [one, another, third] = [connection({ id: 1 }), connection({ id: 1 }), connection({ id: 1 })];
  one.sink.write('id-1', event);
  another.sink.write('id-1', event);
  await turnEnd();
  expect(written).toHaveLength(2);
  expect(written[0]).toBe(written[1]);
  // The same words as another event.
  third.sink.write('id-2', event);
  await turnEnd();
  expect(payloadOf(written[2])).toMatchObject({ result: { id: 'id-2' } });
});

it('has forgotten an event, which may be deleted next, when its turn is over', async () => {
  const [one, another] = [connection({ id: 1 }), connection({ id: 1 })];
  one.sink.write('id-1', event);
  await turnEnd();
  another.sink.write('id-1', event);
  await turnEnd();
  expect(written[1]).toEqual(written[0]);
  // Of what was remembered it would be the same frame.
  expect(written[1]).not.toBe(written[0]);
});

it('sends nothing where somebody waits, where the client does not read, and after the last word', async () => {
  const { sink, writer } = connection({ id: 1 });
  silent = true;
  expect(sink.write('id-1', event)).toBe(false);
  silent = false;
  // A permission that is out is for a message that comes first.
  expect(writer.ready()).toBeUndefined();
  expect(sink.write('id-1', event)).toBe(false);
  writer.send('the message');
  expect(sink.write('id-1', event)).toBe(true);
  writer.send('x'.repeat(300_000));
  expect(sink.write('id-2', event)).toBe(false);
  void writer.ready();
  expect(sink.write('id-2', event)).toBe(false);
});

it('leaves what is too long for one piece to the usual way', () => {
  const { sink, writer } = connection({ id: 1 });
  expect(sink.write('id-1', { ...event, text: 'x'.repeat(64 * 1024) })).toBe(false);
  expect(writer.buffered).toBe(0);
});
