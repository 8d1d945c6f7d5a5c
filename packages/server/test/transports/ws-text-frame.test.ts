import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { textFrame } from '../../src/transports/ws-text-frame.ts';

/** The reader is `ws`: whatever it cannot read, nobody can. */
const http = createServer();
let client: WebSocket;
let stream: Duplex;

beforeAll(async () => {
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  http.on('upgrade', (request, socket, head) => {
    server.handleUpgrade(request, socket, head, () => {
      stream = socket;
    });
  });
  await once(http.listen(0, '127.0.0.1'), 'listening');
  client = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`);
  await once(client, 'open');
});
afterAll(() => {
  client.terminate();
  http.close();
});

async function readBack(...frames: Buffer[]): Promise<[text: string, isBinary: boolean]> {
  const message = once(client, 'message');
  for (const frame of frames) stream.write(frame);
  const [data, isBinary] = (await message) as [Buffer, boolean];
  return [data.toString(), isBinary];
}

it.each([0, 1, 125, 126, 127, 65_535, 65_536, 300_000])('carries a text of %d bytes', async (length) => {
  const text = 'x'.repeat(length);
  expect(await readBack(textFrame(text))).toEqual([text, false]);
  expect(await readBack(textFrame(Buffer.from(text)))).toEqual([text, false]);
});

it.each([42, 43, 21_845, 21_846])('counts bytes, not characters, of %d euro signs', async (count) => {
  expect(await readBack(textFrame('€'.repeat(count)))).toEqual(['€'.repeat(count), false]);
});

it('carries a message in pieces, cut anywhere', async () => {
  const bytes = Buffer.from('one € and two €€');
  for (let first = 1; first < bytes.length - 1; first += 1) {
    const pieces = [
      textFrame(bytes.subarray(0, first), { isLast: false }),
      textFrame(bytes.subarray(first, first + 1), { isFirst: false, isLast: false }),
      textFrame(bytes.subarray(first + 1), { isFirst: false }),
    ];
    expect(await readBack(...pieces)).toEqual([bytes.toString(), false]);
  }
});
