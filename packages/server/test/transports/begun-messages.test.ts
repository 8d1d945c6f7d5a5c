import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { call, isOpen, rawSocket, reply, untilFrames, type RawSocket } from './sockets.ts';
import { createWorld, tokenFor, type World } from './world.ts';

const mebibyte = 1024 * 1024;
const mostBytes = 32 * mebibyte;
const nextTurn = () => new Promise((resolve) => void setImmediate(resolve));

let world: World;
const sockets: RawSocket[] = [];
beforeEach(async () => {
  world = await createWorld({ maxBodyBytes: mebibyte });
});
afterEach(async () => {
  for (const { socket } of sockets.splice(0)) socket.terminate();
  await world[Symbol.asyncDispose]();
});

async function open(options?: Parameters<typeof rawSocket>[1]): Promise<RawSocket> {
  const raw = await rawSocket(world, options);
  sockets.push(raw);
  return raw;
}

const begunBytes = () => world.server.stats().begunBytes;

async function untilStill(): Promise<void> {
  for (let still = 0, last = -1; still < 100; still += 1) {
    if (begunBytes() !== last) still = 0;
    last = begunBytes();
    await nextTurn();
  }
}

/** On 16 connections each the first part of a message, as long as one may be, and not the rest. */
async function begin(introduction: Parameters<typeof rawSocket>[1]): Promise<RawSocket[]> {
  const begun = await Promise.all(Array.from({ length: 16 }, () => open(introduction)));
  for (const { socket } of begun) socket.send('x'.repeat(4 * mebibyte), { fin: false });
  await eventually(() => expect(begunBytes()).toBeGreaterThan(mostBytes));
  await untilStill();
  return begun;
}

const clients: [string, () => Parameters<typeof rawSocket>[1]][] = [
  ['strangers who say that they will introduce themselves', () => ({})],
  ['strangers who do not', () => ({ query: '' })],
  ['strangers whose token does not verify', () => ({ token: 'nonsense' })],
  ['a user', () => ({ token: world.token })],
];

describe.each(clients)('what %s have begun to say and do not finish', (_, introduction) => {
  it('costs little on however many connections', async () => {
    const begun = await begin(introduction());
    // What each may have begun before it is looked at, in whole reads, comes to it.
    expect(begunBytes()).toBeLessThan(mostBytes + begun.length * 160 * 1024);
    for (const { socket } of begun) socket.terminate();
    await eventually(() => expect(begunBytes()).toBe(0));
  });

  it('keeps nobody else from being heard', async () => {
    await begin(introduction());
    const user = await open({ token: tokenFor('eve', world.nowSeconds() + 3600) });
    user.send(call(1, 'query', 'echo', { text: 'x'.repeat(900_000) }));
    expect((await reply(user, 1)).result).toBeDefined();
  });

  it('is read on when others have finished theirs', async () => {
    const begun = await begin(introduction());
    for (const { socket } of begun.slice(8)) socket.terminate();
    // The rest of a message that may be said: what follows is heard.
    for (const { socket } of begun.slice(0, 8)) socket.send('', { fin: true });
    await eventually(() => expect(begunBytes()).toBe(0));
    expect(begun.filter(isOpen)).toHaveLength(8);
  });
});

it('strangers are closed at the deadline, whatever they have begun', async () => {
  const begun = await begin({});
  await world.clock.advance(5000);
  await world.clock.advance(5000);
  for (const { closed } of begun) expect((await closed).code).toBe(4401);
  expect(begunBytes()).toBe(0);
});

it('what has been said to its end counts no more', async () => {
  const stranger = await open({ query: '' });
  for (let said = 1; said <= 40; said += 1) stranger.send('x'.repeat(mebibyte));
  await untilFrames(stranger, 40);
  expect(begunBytes()).toBeLessThan(mebibyte);
});

it('one alone may say the longest message that is read at all', async () => {
  await world[Symbol.asyncDispose]();
  world = await createWorld({ maxBodyBytes: 16 * mebibyte });
  const user = await open({ token: world.token });
  user.send(call(1, 'query', 'echo', { text: 'x'.repeat(60 * mebibyte) }));
  expect((await reply(user, 1)).error?.json.data).toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
});
