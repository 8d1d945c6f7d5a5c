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
  const socket = { send: (data: Buffer) => void written.push(data), terminate: () => undefined };
  const writer = new WsWriter(socket, { clock: createManualClock(), stallMs: 10_000, onCut: () => undefined });
  return { writer, sink: createWsLiveSink(replyHead(call), writer, () => silent) };
}

it.each([{ id: 7 }, { id: 'seven"' }, { id: 7, jsonrpc: '2.0' as const }])('says what tRPC would say to %j', (call) => {
  const { sink } = connection(call);
  expect(sink.write('id-1', event)).toBe(true);
  const result = { type: 'data', id: 'id-1', data: { json: { id: 'id-1', data: event } } };
  expect(written.map((frame) => JSON.parse(frame.toString()) as unknown)).toEqual([{ ...call, result }]);
});

it('serialises an event once for all who are sent it under the same call id', () => {
  const [one, another] = [connection({ id: 1 }), connection({ id: 1 })];
  one.sink.write('id-1', event);
  another.sink.write('id-1', event);
  expect(written).toHaveLength(2);
  expect(written[0]?.buffer).toBe(written[1]?.buffer);
  // The same words as another event.
  one.sink.write('id-2', event);
  expect(written[2]?.toString()).toContain('"id":"id-2"');
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
