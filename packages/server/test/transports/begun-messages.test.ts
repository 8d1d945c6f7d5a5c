import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { call, isOpen, rawSocket, reply, untilFrames, type RawSocket } from './sockets.ts';
import { createWorld, tokenFor, type World } from './world.ts';

const mebibyte = 1024 * 1024;
const mostBytes = 32 * mebibyte;

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

/** The first part of a message that is as long as one may be, and not the rest. */
async function begin(introduction: Parameters<typeof rawSocket>[1]): Promise<RawSocket> {
  const raw = await open(introduction);
  const before = begunBytes();
  raw.socket.send('x'.repeat(4 * mebibyte), { fin: false });
  // All of it has come, but what was in one read with something else; or it is over.
  await eventually(() => expect(!isOpen(raw) || begunBytes() > before + 3.8 * mebibyte).toBe(true));
  return raw;
}

const clients: [string, () => Parameters<typeof rawSocket>[1]][] = [
  ['strangers who say that they will introduce themselves', () => ({})],
  ['strangers who do not', () => ({ query: '' })],
  ['strangers whose token does not verify', () => ({ token: 'nonsense' })],
  ['a user', () => ({ token: world.token })],
];

describe.each(clients)('what is begun and not finished by %s', (_, introduction) => {
  it('is bounded, on however many connections', async () => {
    for (let count = 0; count < 16; count += 1) {
      await begin(introduction());
      expect(begunBytes()).toBeLessThan(mostBytes + 5 * mebibyte);
    }
    expect(sockets.filter(isOpen).length).toBeGreaterThanOrEqual(7);
    expect(sockets.filter(isOpen).length).toBeLessThan(9);
    for (const { socket } of sockets) socket.terminate();
    await eventually(() => expect(begunBytes()).toBe(0));
  });

  it('keeps nobody else from being heard', async () => {
    for (let count = 0; count < 8; count += 1) await begin(introduction());
    const eve = await open({ token: tokenFor('eve', world.nowSeconds() + 3600) });
    eve.send(call(1, 'query', 'echo', { text: 'x'.repeat(900_000) }));
    expect((await reply(eve, 1)).result).toBeDefined();
    const ada = await open({ token: world.token });
    ada.send(call(1, 'query', 'echo', { text: 'x'.repeat(50_000) }));
    expect((await reply(ada, 1)).result).toBeDefined();
  });
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
