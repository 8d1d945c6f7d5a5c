import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { createWorld, tokenFor, type World } from './world.ts';

let world: World;
const sockets: Socket[] = [];
beforeEach(async () => {
  // The time for streams, which is of the hands that the tests turn, is never over.
  world = await createWorld({ unreadAnswerMs: 100, streamStallMs: 3_600_000 });
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await world[Symbol.asyncDispose]();
});

const inputOf = (json: unknown) => encodeURIComponent(JSON.stringify({ json }));

/** Asks, and takes nothing of the answer. */
function askOnly(path: string, token = world.token): void {
  const { hostname, port, host } = new URL(world.url);
  const socket = connect(Number(port), hostname);
  sockets.push(socket.pause().on('error', () => {}));
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\n\r\n`);
}

it('whoever takes nothing of an answer in one piece is cut, and nobody whose answer is not made yet', async () => {
  const held = world.fetch(`/trpc/hold?input=${inputOf({ gate: 'g' })}`);
  await eventually(() => expect(world.gates.has('g')).toBe(true));
  // Far more than lies between server and client.
  askOnly(`/trpc/big?input=${inputOf({ size: 30 * 1024 * 1024 })}`);
  await eventually(() => expect(world.server.stats()).toMatchObject({ inFlight: 1, slowReadersCut: 1 }));
  // That one was asked before, so that its time would be over as well.
  world.gates.get('g')?.resolve();
  expect(await (await held).json()).toEqual({ result: { data: { json: 'g' } } });
  expect(world.server.stats().slowReadersCut).toBe(1);
});

it('whoever has stopped reading a stream does not keep it when the token has ended', async () => {
  world.log.publish(480, 64 * 1024);
  askOnly('/trpc/follow', tokenFor('ada', world.nowSeconds() + 10));
  await eventually(() => expect(world.log.taken).toBeGreaterThan(0));
  await world.clock.advance(40_000);
  await eventually(() => expect(world.server.stats()).toMatchObject({ inFlight: 0, slowReadersCut: 1 }));
  expect(world.log.readers).toBe(0);
});
