import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Principal } from '../../src/clients/auth/principal.ts';
import { ServiceError } from '../../src/platform/service-error.ts';
import { eventually } from '../support/eventually.ts';
import { call, isOpen, rawSocket, reply, until, untilFrames, type Frame, type RawSocket } from './sockets.ts';
import { createWorld, tokenFor, type World } from './world.ts';

const mebibyte = 1024 * 1024;
const nextTurn = () => new Promise((resolve) => void setImmediate(resolve));

let world: World;
const sockets: { terminate(): void }[] = [];
beforeEach(async () => {
  world = await createWorld({ maxBodyBytes: mebibyte });
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate();
  await world[Symbol.asyncDispose]();
});

async function open(options?: Parameters<typeof rawSocket>[1]): Promise<RawSocket> {
  const raw = await rawSocket(world, options);
  sockets.push(raw.socket);
  return raw;
}

const clients: [string, () => Parameters<typeof rawSocket>[1]][] = [
  ['a user', () => ({ token: world.token })],
  ['a stranger whose token does not verify', () => ({ token: 'nonsense' })],
  ['a stranger without a token', () => ({ query: '' })],
];

const codeOf = (frame: Frame) => frame.error?.json.data['code'];
const idsOf = (frames: readonly Frame[]) => frames.map(({ id }) => id);
const upTo = (count: number) => Array.from({ length: count }, (_, id) => id);

/** The connection can be used as before. */
async function expectUsable(raw: RawSocket): Promise<void> {
  const before = raw.frames.length;
  raw.send(call('after', 'query', 'open'));
  await untilFrames(raw, before + 1);
  expect(raw.frames.slice(before)).toMatchObject([{ id: 'after', result: { data: { json: 'open' } } }]);
  expect(isOpen(raw)).toBe(true);
  expect(world.server.stats().slowReadersCut).toBe(0);
}

/** As many of these as fill a frame. */
function fill(limit: number, message: (id: number) => string): string[] {
  const messages: string[] = [];
  for (let size = 1, id = 0; ; id += 1) {
    const text = message(id);
    size += text.length + 1;
    if (size > limit) return messages;
    messages.push(text);
  }
}

const frameOf = (messages: readonly string[]) => `[${messages.join(',')}]`;

describe.each(clients)('a frame of more calls than it may hold, from %s', (_, introduction) => {
  it.each([
    ['4,900', upTo(4900).map((id) => JSON.stringify(call(id, 'query', 'whoami')))],
    [
      'as many as its bytes allow',
      fill(mebibyte, (id) => JSON.stringify({ id, method: 'query', params: { path: '' } })),
    ],
  ])('is answered call by call and in order: %s', async (__, messages) => {
    const raw = await open(introduction());
    raw.send(frameOf(messages));
    await untilFrames(raw, messages.length);
    expect(idsOf(raw.frames).toSorted((a, b) => Number(a) - Number(b))).toEqual(upTo(messages.length));
    const refused = raw.frames.filter(({ error }) => error?.json.message === 'A frame holds at most 20 calls.');
    expect(idsOf(refused)).toEqual(upTo(messages.length).slice(20));
    await expectUsable(raw);
    expect(raw.frames).toHaveLength(messages.length + 1);
  });
});

it('others are answered before a frame of very many calls is through', async () => {
  const raw = await open({ token: world.token });
  const other = await open({ token: world.token });
  const messages = fill(mebibyte, (id) => JSON.stringify({ id, method: 'query' }));
  raw.send(frameOf(messages));
  await untilFrames(raw, 1);
  other.send(call(1, 'query', 'open'));
  await untilFrames(raw, messages.length);
  const routes = world.requests().map(({ route }) => route);
  expect(routes.indexOf('open')).toBeGreaterThan(0);
  // Within some turns, while what may be owed alone is thousands.
  expect(routes.indexOf('open')).toBeLessThan(1000);
});

it('other messages than calls are answered one by one up to 5,000, the rest at once, the calls behind them too', async () => {
  const raw = await open({ token: world.token });
  raw.send(frameOf([...Array.from({ length: 6000 }, () => '0'), JSON.stringify(call(1, 'query', 'open'))]));
  await untilFrames(raw, 5002);
  expect(raw.frames.filter(({ id }) => id === null)).toHaveLength(5001);
  expect(raw.frames[5000]?.error?.json.message).toBe('The frame holds too many messages.');
  expect(raw.frames[5001]).toMatchObject({ id: 1, result: { data: { json: 'open' } } });
});

it.each([
  ['paths', (id: number, long: string) => call(id, id < 20 ? 'query' : 'subscription', long), 'NOT_FOUND'],
  ['ids', (id: number, long: string) => call(`${id}${long}`, id < 20 ? 'query' : 'subscription', 'x'), 'BAD_REQUEST'],
])('as many calls as a frame may hold may have long %s', async (_, message, code) => {
  const raw = await open({ token: world.token });
  const long = 'é'.repeat(2330);
  const text = JSON.stringify(upTo(220).map((id) => message(id, long)));
  expect(Buffer.byteLength(text) / mebibyte).toBeCloseTo(1, 1);
  raw.send(text);
  await untilFrames(raw, 220);
  expect(raw.frames.map(codeOf)).toEqual(upTo(220).map(() => code));
  expect(raw.frames.map(({ id }) => Number.parseInt(String(id), 10))).toEqual(upTo(220));
  await expectUsable(raw);
});

/** Many more replies than there is room for between server and client: 20 MB. */
const large = { frames: 20, inFrame: 200, all: 4000 };

function sendLarge(raw: RawSocket): void {
  const path = 'p'.repeat(5000);
  for (let frame = 0; frame < large.frames; frame += 1) {
    raw.send(upTo(large.inFrame).map((id) => call(frame * large.inFrame + id, 'query', path)));
  }
}

const refusals = () => world.requests().filter(({ route }) => String(route).startsWith('p')).length;

/** Long enough for the server to read a whole frame, and to do what it can. */
async function pass(): Promise<void> {
  for (let turn = 0; turn < 100; turn += 1) {
    await nextTurn();
    expect(world.server.stats().largestBufferedBytes).toBeLessThanOrEqual(mebibyte);
  }
}

/** Until the server takes no more messages of a client that takes nothing. */
async function untilStill(): Promise<void> {
  let last: number;
  do {
    last = refusals();
    await pass();
  } while (refusals() !== last || world.server.stats().bufferedBytes <= mebibyte / 4);
}

describe.each(clients)('while %s does not take the replies', (_, introduction) => {
  async function stalled(): Promise<RawSocket> {
    const raw = await open(introduction());
    raw.send(call('before', 'query', 'open'));
    await reply(raw, 'before');
    raw.frames.length = 0;
    raw.socket.pause();
    sendLarge(raw);
    await untilStill();
    return raw;
  }

  it('no more of its messages is taken, and in the end it is cut', async () => {
    const raw = await stalled();
    const taken = refusals();
    expect(taken).toBeLessThan(large.all);
    // What cannot be taken stays where it was sent from.
    expect(raw.socket.bufferedAmount).toBeGreaterThan(0);
    await world.clock.advance(9999);
    expect(world.server.stats()).toMatchObject({ connections: 1, slowReadersCut: 0 });
    await world.clock.advance(1);
    await eventually(() => expect(world.server.stats()).toMatchObject({ connections: 0, slowReadersCut: 1 }));
    await pass();
    expect(refusals()).toBeLessThanOrEqual(taken + 1);
  });

  it('nothing is lost of what it takes late', async () => {
    const raw = await stalled();
    await world.clock.advance(4000);
    raw.socket.resume();
    await untilFrames(raw, large.all);
    expect(idsOf(raw.frames)).toEqual(upTo(large.all));
    expect(new Set(raw.frames.map(codeOf))).toEqual(new Set(['NOT_FOUND']));
    await expectUsable(raw);
  });
});

/** Has it follow the events, and told that it does. */
async function follow(raw: RawSocket, id: string): Promise<void> {
  raw.send(call(id, 'subscription', 'follow'));
  await untilFrames(raw, 1);
  await eventually(() => expect(world.log.readers).toBe(1));
}

/** As `stalled` above, of a user; something may be said before. */
async function stalledUser(before: (raw: RawSocket) => Promise<unknown> = () => Promise.resolve()): Promise<RawSocket> {
  const raw = await open({ token: world.token });
  await before(raw);
  raw.frames.length = 0;
  raw.socket.pause();
  sendLarge(raw);
  await untilStill();
  return raw;
}

describe('a client that takes its replies slowly', () => {
  it('gets them all, and its events between them, however long it takes', async () => {
    const raw = await stalledUser((client) => follow(client, 'events'));
    world.log.publish(200, 1000);
    for (let pause = 0; pause < 3; pause += 1) {
      await world.clock.advance(9000);
      for (const taken = refusals(); refusals() === taken; await pass()) {
        const had = raw.frames.length;
        raw.socket.resume();
        await untilFrames(raw, had + 1);
        raw.socket.pause();
      }
      await untilStill();
    }
    raw.socket.resume();
    await untilFrames(raw, large.all + 200);
    expect(idsOf(raw.frames.filter(({ error }) => error !== undefined))).toEqual(upTo(large.all));
    const events = raw.frames.flatMap(({ result }) => (result?.id === undefined ? [] : [Number(result.id)]));
    expect(events).toEqual(upTo(200).map((index) => index + 1));
    await expectUsable(raw);
  });

  it('has what it says behind them heard after them, in order', async () => {
    const raw = await stalledUser((client) => follow(client, 'followed'));
    raw.send({ id: 'followed', method: 'subscription.stop' });
    raw.send('PONG');
    raw.send(call('open', 'query', 'open'));
    raw.socket.resume();
    await untilFrames(raw, large.all + 2);
    expect(idsOf(raw.frames.slice(0, large.all))).toEqual(upTo(large.all));
    expect(new Set(idsOf(raw.frames.slice(large.all)))).toEqual(new Set(['followed', 'open']));
    await eventually(() => expect(world.log.readers).toBe(0));
  });

  it('is asked to go elsewhere only when all are out', async () => {
    const raw = await stalledUser();
    world.server.beginDrain();
    raw.socket.resume();
    await until(raw, () => raw.frames.at(-1)?.method === 'reconnect');
    const asked = raw.frames.findIndex(({ method }) => method === 'reconnect');
    expect(asked % large.inFrame).toBe(0);
    expect(asked).toBeGreaterThan(0);
  });

  it('is not held up by one long reply: it may go on calling, and stop what it follows', async () => {
    const raw = await open({ token: world.token });
    await follow(raw, 'followed');
    raw.socket.pause();
    raw.send(call('big', 'query', 'big', { size: 30 * mebibyte }));
    await eventually(() => expect(world.server.stats().bufferedBytes).toBeGreaterThan(mebibyte));
    raw.send([{ id: 'followed', method: 'subscription.stop' }, call('held', 'query', 'hold', { gate: 'g' })]);
    await eventually(() => expect([world.log.readers, world.gates.has('g')]).toEqual([0, true]));
    expect(world.server.stats().bufferedBytes).toBeGreaterThan(mebibyte);
  });

  it('has its calls wait as well where it owes much, also when it has taken a long reply before', async () => {
    const raw = await open({ token: world.token });
    raw.send(call('big', 'query', 'big', { size: mebibyte }));
    await untilFrames(raw, 1);
    raw.socket.pause();
    for (let said = 1; world.server.stats().bufferedBytes <= mebibyte / 2; said += 1) {
      raw.send(call(said, 'query', 'p'.repeat(100_000)));
      while (refusals() < said) await nextTurn();
    }
    raw.send(call('held', 'query', 'hold', { gate: 'g' }));
    for (let turn = 0; turn < 30; turn += 1) await nextTurn();
    expect(world.gates.has('g')).toBe(false);
    raw.socket.resume();
    await eventually(() => expect(world.gates.has('g')).toBe(true));
  });

  it('is closed in good order when its time is over, and hears no more', async () => {
    const raw = await open({ query: '' });
    raw.socket.pause();
    sendLarge(raw);
    await untilStill();
    await world.clock.advance(5000);
    const taken = refusals();
    raw.socket.resume();
    expect((await raw.closed).code).toBe(4401);
    expect(idsOf(raw.frames)).toEqual(upTo(taken));
    await eventually(() => expect(world.server.stats()).toMatchObject({ connections: 0, slowReadersCut: 0 }));
  });
});

describe('over the rate limit', () => {
  beforeEach(async () => {
    await world[Symbol.asyncDispose]();
    world = await createWorld({ maxBodyBytes: mebibyte }, { limitPerMinute: 2 });
  });

  /** What happens on other connections has gone on for a while. */
  async function othersAnswered() {
    const other = await open({ token: tokenFor('other', world.nowSeconds() + 3600) });
    other.send(call(1, 'query', 'open'));
    await reply(other, 1);
  }

  it('the end of a pause for it does not end the wait for a client that takes nothing', async () => {
    const raw = await open({ token: world.token });
    raw.socket.pause();
    sendLarge(raw);
    for (let pause = 0; pause < 40; pause += 1) {
      await pass();
      await world.clock.advance(100);
    }
    await untilStill();
    expect(raw.socket.bufferedAmount).toBeGreaterThan(0);
    expect(refusals()).toBeLessThan(large.all);
    raw.socket.resume();
    for (let frame = 1; frame <= large.frames; frame += 1) {
      await untilFrames(raw, frame * large.inFrame);
      await world.clock.advance(100);
    }
    expect(idsOf(raw.frames)).toEqual(upTo(large.all));
    expect(raw.frames.filter((frame) => codeOf(frame) !== 'RATE_LIMITED')).toHaveLength(2);
    await expectUsable(raw);
  });

  it('the end of the wait does not end the pause', async () => {
    const raw = await open({ token: world.token });
    raw.send(upTo(50).map((id) => call(id, 'query', 'whoami')));
    await untilFrames(raw, 50);
    raw.send(call('next', 'query', 'open'));
    await othersAnswered();
    expect(raw.frames).toHaveLength(50);
    await world.clock.advance(100);
    await untilFrames(raw, 51);
    expect(raw.frames[50]).toMatchObject({ id: 'next', result: { data: { json: 'open' } } });
  });
});

describe('while a token is judged, and the client is not read', () => {
  let judged: PromiseWithResolvers<Principal>;
  let raw: RawSocket;
  beforeEach(async () => {
    await world[Symbol.asyncDispose]();
    judged = Promise.withResolvers();
    const asked = Promise.withResolvers<void>();
    world = await createWorld({
      authenticate() {
        asked.resolve();
        return judged.promise;
      },
    });
    raw = await open({ token: world.token });
    raw.send(call(1, 'query', 'open'));
    await asked.promise;
    for (let turn = 0; turn < 30; turn += 1) await nextTurn();
  });
  afterEach(() => vi.useRealTimers());

  it('the client is not taken for gone', async () => {
    await world.clock.advance(30_000);
    await until(raw, () => raw.texts.includes('PING'));
    await world.clock.advance(10_000);
    judged.reject(new ServiceError('UNAUTHORIZED'));
    expect((await reply(raw, 1)).result?.data?.json).toBe('open');
    expect(isOpen(raw)).toBe(true);
  });

  it('its goodbye is heard, and what waits is not taken after it', async () => {
    // Nor is it cut for want of a goodbye.
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    const closed = world.server[Symbol.asyncDispose]();
    expect((await raw.closed).code).toBe(1012);
    await closed;
    const expiresAt = world.nowSeconds() + 3600;
    const nobody = { username: null, email: null, issuedAt: null };
    judged.resolve({ ...nobody, userId: 'ada', role: 'enduser', plan: 'free', expiresAt });
    for (let turn = 0; turn < 30; turn += 1) await nextTurn();
    expect(world.requests().map(({ route }) => route)).not.toContain('open');
  });
});
