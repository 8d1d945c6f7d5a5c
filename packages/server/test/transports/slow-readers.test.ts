import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { call, rawSocket, reply, until, untilFrames, type RawSocket } from './sockets.ts';
import { createWorld, stockClient, type World } from './world.ts';

let world: World;
const sockets: { terminate(): void }[] = [];
beforeEach(async () => {
  world = await createWorld();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate();
  await world[Symbol.asyncDispose]();
});

const mebibyte = 1024 * 1024;
const nextTurn = () => new Promise((resolve) => void setImmediate(resolve));

async function reader(): Promise<RawSocket> {
  const raw = await rawSocket(world, { token: world.token });
  sockets.push(raw.socket);
  raw.send(call(1, 'query', 'whoami'));
  await reply(raw, 1);
  raw.frames.length = 0;
  return raw;
}

/** Bytes that the server holds for its readers. */
const owed = () => world.server.stats().bufferedBytes;

/** Events that it has taken out for them, while it holds no more than it may for any. */
function taken(): number {
  expect(world.server.stats().largestBufferedBytes).toBeLessThanOrEqual(mebibyte);
  return world.log.taken;
}

/** Waits until a figure does not change any more. */
async function untilStill(figure: () => number = taken): Promise<void> {
  for (let still = 0, last = -1; still < 30; still += 1) {
    if (figure() !== last) still = 0;
    last = figure();
    await nextTurn();
  }
}

function events(raw: RawSocket): string[] {
  return raw.frames.flatMap((frame) => (frame.result?.id === undefined ? [] : [frame.result.id]));
}

describe('a WebSocket reader that stops reading', () => {
  it('is paced, costs at most 1 MiB, holds up nobody, is cut, and comes back without a gap', async () => {
    const stalled = await reader();
    const other = stockClient(world);
    const seen: number[] = [];
    other.client.follow.subscribe(undefined, { onData: (event) => void seen.push(event.data.n) });
    stalled.send(call(2, 'subscription', 'follow'));
    await eventually(() => expect(world.log.readers).toBe(2));
    stalled.socket.pause();
    // 30 MB: far more than the kernel's buffers between the two take.
    for (let round = 0; round < 30; round += 1) {
      world.log.publish(16, 64 * 1024);
      await untilStill();
    }
    await eventually(() => expect(seen).toHaveLength(480));
    expect(seen).toEqual(Array.from({ length: 480 }, (_, index) => index + 1));
    expect(world.log.taken).toBeLessThan(960);
    expect(world.server.stats().largestBufferedBytes).toBeGreaterThan(128 * 1024);
    expect(world.server.stats()).toMatchObject({ connections: 2, slowReadersCut: 0 });

    await world.clock.advance(10_000);
    await eventually(() => expect(world.server.stats()).toMatchObject({ connections: 1, slowReadersCut: 1 }));
    expect(world.server.stats().bufferedBytes).toBeLessThan(mebibyte);
    stalled.socket.resume();
    await stalled.closed;
    const got = events(stalled);
    expect(got.length).toBeLessThan(480);
    const again = await reader();
    again.send(call(1, 'subscription', 'follow', undefined, { lastEventId: got.at(-1) ?? '0' }));
    await until(again, () => got.length + events(again).length === 480);
    expect([...got, ...events(again)].map(Number)).toEqual(seen);
    await other.close();
  });

  it('costs no more with 200 subscriptions that all have something to say', async () => {
    const stalled = await reader();
    stalled.socket.pause();
    stalled.send(Array.from({ length: 200 }, (_, id) => call(id, 'subscription', 'follow')));
    await eventually(() => expect(world.log.readers).toBe(200));
    world.log.publish(5, 64 * 1024);
    await untilStill();
    const { largestBufferedBytes } = world.server.stats();
    expect(largestBufferedBytes).toBeGreaterThan(128 * 1024);
    expect(largestBufferedBytes).toBeLessThanOrEqual(mebibyte);
    stalled.socket.resume();
    await until(stalled, () => events(stalled).length === 1000);
    expect(world.server.stats()).toMatchObject({ slowReadersCut: 0 });
  });

  it('is not cut as long as it takes something, be it little', async ({ signal }) => {
    const slow = await reader();
    slow.socket.pause();
    slow.send(call(1, 'query', 'big', { size: 30 * mebibyte }));
    await eventually(() => expect(owed()).toBeGreaterThan(0));
    await untilStill(owed);
    let rounds = 0;
    for (let before = owed(); before > 0; before = owed()) {
      await world.clock.advance(9000);
      slow.socket.resume();
      while (owed() >= before) {
        signal.throwIfAborted();
        await nextTurn();
      }
      slow.socket.pause();
      await untilStill(owed);
      rounds += 1;
    }
    // What is left is with the operating system.
    slow.socket.resume();
    await untilFrames(slow, 1);
    expect(rounds).toBeGreaterThan(1);
    expect(slow.frames[0]?.result?.data?.json).toHaveLength(30 * mebibyte);
    expect(world.server.stats().slowReadersCut).toBe(0);
  });

  it('holds back answers to calls, and is cut when it only ever asks', async () => {
    const stalled = await reader();
    stalled.socket.pause();
    for (let frame = 0; frame < 8; frame += 1) {
      stalled.send(Array.from({ length: 20 }, (_, id) => call(frame * 20 + id, 'query', 'big', { size: 200_000 })));
    }
    await eventually(() => expect(world.server.stats().inFlight).toBeGreaterThan(20));
    for (let turn = 0; turn < 50; turn += 1) await nextTurn();
    expect(world.server.stats().largestBufferedBytes).toBeLessThanOrEqual(mebibyte);
    for (let frame = 0; frame < 40; frame += 1) stalled.send(Array.from({ length: 4000 }, () => ({ id: 1 })));
    await eventually(() => expect(owed()).toBeGreaterThan(mebibyte / 4));
    await untilStill(owed);
    expect(world.server.stats().largestBufferedBytes).toBeLessThanOrEqual(mebibyte);
    await world.clock.advance(10_000);
    await eventually(() => expect(world.server.stats()).toMatchObject({ connections: 0, slowReadersCut: 1 }));
  });
});

describe('an event-stream reader that stops reading', () => {
  const opened: Socket[] = [];
  afterEach(() => {
    for (const socket of opened.splice(0)) socket.destroy();
  });

  function eventStream(): Promise<Socket> {
    const { hostname, port, host } = new URL(world.url);
    return new Promise((resolve) => {
      const socket = connect(Number(port), hostname, () => {
        socket.write(
          `GET /trpc/follow HTTP/1.1\r\nHost: ${host}\r\nAccept: text/event-stream\r\nAuthorization: Bearer ${world.token}\r\n\r\n`,
        );
      });
      socket.on('error', () => {});
      opened.push(socket);
      socket.once('data', () => {
        socket.pause();
        resolve(socket);
      });
    });
  }

  it('is paced by its socket, and cut when it has taken nothing for the time allowed', async () => {
    world.log.publish(1);
    const socket = await eventStream();
    await eventually(() => expect(world.log.taken).toBe(1));
    world.log.publish(480, 64 * 1024);
    await untilStill();
    expect(world.log.taken).toBeLessThan(400);
    await world.clock.advance(9999);
    await untilStill();
    expect(world.server.stats()).toMatchObject({ inFlight: 1, slowReadersCut: 0 });
    await world.clock.advance(1);
    await eventually(() => expect(world.server.stats()).toMatchObject({ inFlight: 0, slowReadersCut: 1 }));
    await eventually(() => expect(world.log.readers).toBe(0));
    socket.destroy();
  });
});
