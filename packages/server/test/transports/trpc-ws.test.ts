import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { call, isOpen, pass, rawSocket, reply, settled, until, untilFrames, type RawSocket } from './sockets.ts';
import { createWorld, stockClient, tokenFor, type World } from './world.ts';

let world: World;
const sockets: { terminate(): void }[] = [];
beforeEach(async () => {
  world = await createWorld();
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

describe('calls over WebSocket', () => {
  it('are answered, each under its own request id, which its log line carries', async () => {
    const raw = await open({ token: world.token });
    raw.send([call(1, 'query', 'whoami'), call(2, 'query', 'whoami'), call('x', 'mutation', 'fail', { how: 'bug' })]);
    const ids = [];
    for (const id of [1, 2]) {
      const answer = (await reply(raw, id)).result?.data?.json as { userId: string; requestId: string };
      expect(answer.userId).toBe('ada');
      ids.push(answer.requestId);
    }
    const failed = (await reply(raw, 'x')).error?.json;
    expect(failed?.data).toMatchObject({ code: 'INTERNAL', httpStatus: 500, path: 'fail' });
    expect(JSON.stringify(failed)).not.toContain('secret');
    ids.push(failed?.data['requestId']);
    expect(new Set(ids).size).toBe(3);
    const logged = world.requests().filter((line) => line['route'] !== '/trpc');
    expect(logged.map((line) => line['requestId'])).toEqual(expect.arrayContaining(ids));
    expect(logged).toHaveLength(3);
    expect(logged.every((line) => line['userId'] === 'ada' && line['door'] === 'websocket')).toBe(true);
    const told = world.lines.filter((line) => line.level === 'error');
    expect(told).toMatchObject([{ requestId: ids[2], err: { message: 'secret: x is undefined' } }]);
  });

  it('tell what tRPC itself refuses under the same id as its log line', async () => {
    const raw = await open({ token: world.token });
    raw.send(call(1, 'query', 'nothing.here'));
    const { data } = (await reply(raw, 1)).error?.json ?? {};
    expect(data).toMatchObject({ code: 'NOT_FOUND', httpStatus: 404, path: 'nothing.here' });
    expect(world.requests()).toContainEqual(
      expect.objectContaining({ requestId: data?.['requestId'], status: 404, route: 'nothing.here' }),
    );
    raw.send(call(2, 'query', 'write', { text: 'a' }));
    expect((await reply(raw, 2)).error?.json.data).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('log a subscription when it is over, stopped or closed', async () => {
    const raw = await open({ token: world.token });
    raw.send([call(1, 'subscription', 'follow'), call(2, 'subscription', 'follow')]);
    await eventually(() => expect(world.log.readers).toBe(2));
    raw.send({ id: 1, method: 'subscription.stop' });
    expect((await reply(raw, 1)).result?.type).toBe('stopped');
    const follows = () => world.requests().filter((line) => line['route'] === 'follow');
    expect(follows()).toHaveLength(1);
    raw.socket.terminate();
    await eventually(() => expect(follows()).toHaveLength(2));
    await eventually(() => expect(world.log.readers).toBe(0));
    await eventually(() => expect(world.server.stats()).toMatchObject({ connections: 0, inFlight: 0 }));
  });

  it('end the connection without a word when a subscription is severed', async () => {
    const raw = await open({ token: world.token });
    raw.send(call(1, 'subscription', 'severed'));
    expect((await raw.closed).code).toBe(1006);
    expect(raw.frames.filter((frame) => frame.error !== undefined || frame.result?.type === 'stopped')).toEqual([]);
  });

  it('hide what broke a subscription, and log it once', async () => {
    const raw = await open({ token: world.token });
    raw.send(call(1, 'subscription', 'broken'));
    await until(raw, () => raw.frames.some((frame) => frame.error !== undefined));
    const error = raw.frames.find((frame) => frame.error !== undefined)?.error?.json;
    expect(error?.data).toMatchObject({ code: 'INTERNAL' });
    expect(raw.texts.join('')).not.toContain('secret');
    expect(world.lines.filter((line) => line.level === 'error')).toMatchObject([
      { requestId: error?.data['requestId'] },
    ]);
  });
});

describe('what a frame may hold', () => {
  it('20 calls: the others are refused one by one', async () => {
    const raw = await open({ token: world.token });
    raw.send(Array.from({ length: 25 }, (_, id) => call(id, 'query', 'whoami')));
    await untilFrames(raw, 25);
    const refused = raw.frames.filter((frame) => frame.error !== undefined);
    expect(refused.map((frame) => frame.id)).toEqual([20, 21, 22, 23, 24]);
    for (const frame of refused) expect(frame.error?.json.data).toMatchObject({ code: 'BAD_REQUEST', path: 'whoami' });
    expect(isOpen(raw)).toBe(true);
  });

  it('200 subscriptions, as a client sends them when it comes back', async () => {
    world.log.publish(1);
    const raw = await open({ token: world.token });
    raw.send(Array.from({ length: 205 }, (_, id) => call(id, 'subscription', 'follow')));
    await untilFrames(raw, 405);
    const of = (pick: (frame: RawSocket['frames'][number]) => boolean) => raw.frames.filter(pick).length;
    expect(of((frame) => frame.result?.type === 'started')).toBe(200);
    expect(of((frame) => frame.result?.type === 'data')).toBe(200);
    expect(of((frame) => frame.error?.json.data['code'] === 'BAD_REQUEST')).toBe(5);
    expect(isOpen(raw)).toBe(true);
  });

  it('the limit in bytes: each call of a larger one is refused by its id, none is run', async () => {
    const raw = await open({ token: world.token });
    const bigint = { json: '1'.repeat(70_000), meta: { values: ['bigint'] } };
    raw.send([{ id: 1, method: 'query', params: { path: 'echo', input: bigint } }, call(2, 'query', 'whoami')]);
    for (const id of [1, 2]) {
      expect((await reply(raw, id)).error?.json.data).toMatchObject({ code: 'PAYLOAD_TOO_LARGE', httpStatus: 413 });
    }
    expect(world.seen).toEqual([]);
    raw.send(call(3, 'query', 'echo', { text: '漢'.repeat(20_000) }));
    expect((await reply(raw, 3)).result).toBeDefined();
    expect(isOpen(raw)).toBe(true);
  });

  it('nothing without end: beyond four times the limit the socket is closed', async () => {
    const raw = await open({ token: world.token });
    raw.send('x'.repeat(4 * 64 * 1024 + 64 * 1024 + 1));
    expect((await raw.closed).code).toBe(1009);
  });

  it.each([
    ['no JSON', '{"id":1', null],
    ['a number', '17', null],
    ['null', 'null', null],
    ['no id', '{"method":"query","params":{"path":"whoami"}}', null],
    ['an id that is none', '{"id":{"a":1},"method":"query","params":{"path":"whoami"}}', null],
    ['no method', '{"id":1}', 1],
    ['an unknown method', '{"id":1,"method":"reconnect"}', 1],
    ['no params', '{"id":1,"method":"query"}', 1],
    ['no path', '{"id":1,"method":"query","params":{}}', 1],
    ['a path that is none', '{"id":1,"method":"query","params":{"path":["whoami"]}}', 1],
    ['a last id that is none', '{"id":1,"method":"subscription","params":{"path":"follow","lastEventId":3}}', 1],
    [
      'a BigInt',
      '{"id":1,"method":"query","params":{"path":"echo","input":{"json":"1","meta":{"values":["bigint"]}}}}',
      1,
    ],
    [
      'a RegExp',
      '{"id":1,"method":"query","params":{"path":"echo","input":{"json":"/a/","meta":{"values":["regexp"]}}}}',
      1,
    ],
    ['input that superjson never wrote', '{"id":1,"method":"query","params":{"path":"echo","input":[1]}}', 1],
    ['a polluting path', '{"id":1,"method":"query","params":{"path":"__proto__"}}', 1],
  ])('garbage is answered, not closed: %s', async (_, text, id) => {
    const raw = await open({ token: world.token });
    raw.send(text);
    const { data } = (await reply(raw, id)).error?.json ?? {};
    expect(data?.['httpStatus']).toBe(text.includes('__proto__') ? 404 : 400);
    expect(data?.['requestId']).toEqual(expect.any(String));
    raw.send(call(2, 'query', 'whoami'));
    expect((await reply(raw, 2)).result).toBeDefined();
    expect(world.seen).toEqual([]);
  });

  it('binary frames and a second introduction are answered too', async () => {
    const raw = await open({ token: world.token });
    raw.socket.send(Buffer.from([1, 2, 3]), { binary: true });
    expect((await reply(raw, null)).error?.json.data).toMatchObject({ code: 'BAD_REQUEST' });
    raw.send({ method: 'connectionParams', data: { token: tokenFor('eve', world.nowSeconds() + 3600) } });
    raw.send(call(1, 'query', 'whoami'));
    expect((await reply(raw, 1)).result?.data?.json).toMatchObject({ userId: 'ada' });
  });

  it('no more than a thousand subscriptions a socket', async () => {
    const raw = await open({ token: world.token });
    for (let frame = 0; frame < 6; frame += 1) {
      raw.send(Array.from({ length: 200 }, (_, id) => call(frame * 200 + id, 'subscription', 'follow')));
    }
    await untilFrames(raw, 1200);
    const refused = raw.frames.filter((frame) => frame.error?.json.data['code'] === 'RATE_LIMITED');
    expect(refused).toHaveLength(200);
    await eventually(() => expect(world.log.readers).toBe(1000));
    expect(isOpen(raw)).toBe(true);
  });
});

describe('the end of a token', () => {
  const soon = () => tokenFor('ada', world.nowSeconds() + 10);

  /** The client is pinged on the way, and has said something since when that is looked at. */
  async function passTokenEnd({ client }: ReturnType<typeof stockClient>) {
    await world.clock.advance(30_000);
    await client.open.query();
    await world.clock.advance(10_000);
  }

  it('lets calls under way be answered, says nothing more to subscriptions, and closes with 4401', async () => {
    world.log.publish(1);
    const raw = await open({ token: soon() });
    raw.send([call(1, 'subscription', 'follow'), call(2, 'query', 'hold', { gate: 'g' })]);
    await reply(raw, 1);
    await eventually(() => expect(world.gates.has('g')).toBe(true));
    await pass(world, [raw], 39_999);
    world.log.publish(1);
    await until(raw, () => raw.frames.filter((frame) => frame.id === 1).length === 3);
    await world.clock.advance(1);
    world.log.publish(5);
    raw.send([call(3, 'subscription', 'follow'), call(4, 'query', 'whoami')]);
    expect((await reply(raw, 4)).error?.json.data).toMatchObject({ code: 'UNAUTHORIZED' });
    expect(isOpen(raw)).toBe(true);
    world.gates.get('g')?.resolve();
    expect((await raw.closed).code).toBe(4401);
    expect(raw.frames.find((frame) => frame.id === 2)?.result?.data?.json).toBe('g');
    expect(raw.frames.filter((frame) => frame.id === 1 || frame.id === 3)).toHaveLength(3);
    await eventually(() => expect(world.log.readers).toBe(0));
  });

  it('is the end of the short way as well', async () => {
    const raw = await open({ token: soon() });
    raw.send([call(1, 'subscription', 'shortcut'), call(2, 'query', 'hold', { gate: 'g' })]);
    await reply(raw, 1);
    await eventually(() => expect(world.gates.has('g')).toBe(true));
    const told = () => raw.frames.filter((frame) => frame.id === 1);
    await pass(world, [raw], 39_999);
    expect(world.log.shortcut?.write('2', { n: 2 })).toBe(true);
    await until(raw, () => told().length === 3);
    expect(told().at(-1)?.result?.data?.json).toEqual({ id: '2', data: { n: 2 } });
    await world.clock.advance(1);
    expect(world.log.shortcut?.write('3', { n: 3 })).toBe(false);
    await settled(raw);
    world.gates.get('g')?.resolve();
    expect((await raw.closed).code).toBe(4401);
    expect(told()).toHaveLength(3);
  });

  it('does not wait for calls for ever', async () => {
    const raw = await open({ token: soon() });
    raw.send(call(1, 'query', 'hold', { gate: 'g' }));
    await eventually(() => expect(world.gates.has('g')).toBe(true));
    await pass(world, [raw], 40_000);
    await world.clock.advance(5000);
    expect((await raw.closed).code).toBe(4401);
  });

  it('is survived by the stock client: a new token, nothing lost, nothing twice', async () => {
    const tokens = [soon(), world.token];
    const given: string[] = [];
    const stock = stockClient(world, () => {
      const token = tokens.shift() ?? world.token;
      given.push(token);
      return token;
    });
    const seen: number[] = [];
    const errors: unknown[] = [];
    const done = new Promise<void>((resolve) => {
      stock.client.follow.subscribe(undefined, {
        onData: (event) => void seen.push(event.data.n),
        onError: (error) => void errors.push(error),
        onComplete: resolve,
      });
    });
    world.log.publish(50);
    await eventually(() => expect(seen).toHaveLength(50));
    await passTokenEnd(stock);
    world.log.publish(50);
    await eventually(() => expect(seen).toHaveLength(100));
    world.log.end();
    await done;
    expect(seen).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
    expect(errors).toEqual([]);
    expect(given).toHaveLength(2);
    expect(stock.closes).toEqual([4401]);
    await stock.close();
  });

  it('ends with a typed error for the stock client whose new token does not verify', async () => {
    const tokens = [soon()];
    const stock = stockClient(world, () => tokens.shift() ?? 'nonsense');
    const failed = new Promise<unknown>((resolve) => {
      stock.client.follow.subscribe(undefined, { onError: resolve });
    });
    await eventually(() => expect(world.log.readers).toBe(1));
    await passTokenEnd(stock);
    expect(await failed).toMatchObject({ data: { code: 'UNAUTHORIZED' } });
    expect(stock.closes).toEqual([4401]);
    await stock.close();
  });
});
