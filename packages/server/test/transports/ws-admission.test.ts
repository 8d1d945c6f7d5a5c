import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { call, isOpen, pass, rawSocket, reply, settled, until, type RawSocket } from './sockets.ts';
import { createWorld, http, type World } from './world.ts';

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

describe('who may connect', () => {
  const upgrade = (headers: Record<string, string>, path = '/trpc') =>
    http(world, {
      path,
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'sec-websocket-version': '13',
        ...headers,
      },
    });

  it('pages of a listed or the same origin, and whatever has none', async () => {
    const { host } = new URL(world.url);
    for (const origin of ['https://app.example', `http://${host}`, `https://${host}`]) {
      const raw = await open({ token: world.token, headers: { origin } });
      raw.send(call(1, 'query', 'whoami'));
      expect((await reply(raw, 1)).result).toBeDefined();
    }
  });

  it('no other page, and the log tells the line to set', async () => {
    const foreign = [
      'https://evil.example',
      'http://localhost:5173',
      'https://app.example.evil',
      'https://app.example:444',
      'null',
    ];
    for (const origin of foreign) {
      const response = await upgrade({ origin });
      expect([origin, response.status]).toEqual([origin, 403]);
      expect(JSON.parse(response.text)).toMatchObject({
        code: 'FORBIDDEN',
        requestId: response.headers['x-request-id'],
      });
    }
    expect(world.lines).toContainEqual(
      expect.objectContaining({ level: 'warn', set: 'CORS_ORIGINS=https://app.example,https://evil.example' }),
    );
  });

  it('loopback pages only where that is configured', async () => {
    await world[Symbol.asyncDispose]();
    world = await createWorld({ loopbackOrigins: true });
    for (const origin of ['http://localhost:5173', 'http://127.0.0.1:9', 'http://[::1]:3000']) {
      const raw = await open({ token: world.token, headers: { origin } });
      expect(isOpen(raw)).toBe(true);
    }
    expect((await upgrade({ origin: 'http://localhost.evil.example' })).status).toBe(403);
  });

  it('nobody with a token in the URL, and none elsewhere than at /trpc', async () => {
    const secret = await upgrade({}, '/trpc?connectionParams=1&token=TTT');
    expect([secret.status, JSON.parse(secret.text)]).toMatchObject([400, { code: 'BAD_REQUEST' }]);
    expect((await upgrade({}, '/elsewhere')).status).toBe(404);
    expect((await upgrade({}, '/trpc/whoami')).status).toBe(404);
    expect(JSON.stringify(world.lines)).not.toContain('TTT');
  });
});

describe('when a thousand have come and shown no token', () => {
  const from = (address: string) => open({ headers: { 'x-forwarded-for': address } });
  const closedAmong = (raws: readonly RawSocket[]) => raws.filter((raw) => !isOpen(raw)).length;
  beforeEach(async () => {
    await world[Symbol.asyncDispose]();
    world = await createWorld({ trustedProxies: 1 });
  });

  async function crowd(addressOf: (index: number) => string): Promise<RawSocket[]> {
    const raws: RawSocket[] = [];
    for (let index = 0; index < 1000; index += 1) raws.push(await from(addressOf(index)));
    return raws;
  }

  it('the address that has most of them makes room, its oldest first, and those with a token stay', async () => {
    const user = await open({ token: world.token, headers: { 'x-forwarded-for': '192.0.2.1' } });
    user.send(call(1, 'query', 'whoami'));
    await reply(user, 1);
    const crowded = await crowd((index) => (index < 3 ? '192.0.2.7' : '192.0.2.1'));
    const newcomer = await from('192.0.2.9');
    newcomer.send({ method: 'connectionParams', data: { token: world.token } });
    newcomer.send(call(1, 'query', 'whoami'));
    await reply(newcomer, 1);
    expect((await crowded[3]?.closed)?.code).toBe(1006);
    // The newcomer is no stranger any more: one more finds its place.
    await settled(await from('192.0.2.10'));
    expect(closedAmong(crowded)).toBe(1);
    expect(isOpen(user)).toBe(true);
  });

  it("a network that is one machine's makes room as one address", async () => {
    const crowded = await crowd((index) => `2001:db8:0:1::${(index + 1).toString(16)}`);
    expect(isOpen(await from('192.0.2.99'))).toBe(true);
    expect((await crowded[0]?.closed)?.code).toBe(1006);
  });

  it('nobody makes room where they have come from everywhere', async () => {
    const crowded = await crowd((index) => `192.0.2.${index % 10}`);
    await expect(from('192.0.2.99')).rejects.toThrow('503');
    expect(closedAmong(crowded)).toBe(0);
    expect(world.requests().at(-1)).toMatchObject({ code: 'UNAVAILABLE', status: 503 });
  });
});

describe('a socket that does not authenticate', () => {
  it.each([
    ['says nothing', () => {}],
    ['says garbage', (raw: RawSocket) => raw.send('}{')],
    ['says garbage at length', (raw: RawSocket) => raw.send('x'.repeat(100_000))],
    ['calls at once', (raw: RawSocket) => raw.send(call(1, 'query', 'whoami'))],
  ])('and %s is closed at the deadline', async (_, say) => {
    const raw = await open();
    say(raw);
    await settled(raw);
    await world.clock.advance(4999);
    await settled(raw);
    expect(isOpen(raw)).toBe(true);
    await world.clock.advance(1);
    expect((await raw.closed).code).toBe(4401);
    expect(raw.frames).toEqual([]);
  });

  it('because it does not even say that it will is told so on each call, and closed as well', async () => {
    const raw = await open({ query: '' });
    raw.send([call(1, 'query', 'whoami'), call(2, 'query', 'open')]);
    expect((await reply(raw, 1)).error?.json.data).toMatchObject({ code: 'UNAUTHORIZED', httpStatus: 401 });
    expect((await reply(raw, 2)).result?.data?.json).toBe('open');
    await world.clock.advance(5000);
    expect((await raw.closed).code).toBe(4401);
  });

  it('because its token does not verify stays, hears it on each call, and goes when it is idle', async () => {
    const raw = await open({ token: 'nonsense' });
    for (const id of [1, 2, 3]) {
      raw.send(call(id, id === 2 ? 'subscription' : 'query', id === 2 ? 'follow' : 'whoami'));
      expect((await reply(raw, id)).error?.json.data).toMatchObject({ code: 'UNAUTHORIZED' });
      await pass(world, [raw], 25_000);
    }
    await pass(world, [raw], 34_000);
    expect(isOpen(raw)).toBe(true);
    await world.clock.advance(1000);
    expect((await raw.closed).code).toBe(4401);
  });

  it('because no key can be had is judged again with its next call', async () => {
    world.keys.available = false;
    const raw = await open({ token: world.token });
    raw.send(call(1, 'query', 'whoami'));
    expect((await reply(raw, 1)).error?.json.data).toMatchObject({ code: 'AUTH_UNAVAILABLE', retryAfter: 5 });
    world.keys.available = true;
    raw.send(call(2, 'query', 'whoami'));
    expect((await reply(raw, 2)).result?.data?.json).toMatchObject({ userId: 'ada' });
  });
});

describe('keep-alive', () => {
  it('pings, and ends a connection that does not answer', async () => {
    const raw = await open({ token: world.token });
    raw.send(call(1, 'query', 'whoami'));
    await reply(raw, 1);
    await world.clock.advance(30_000);
    await until(raw, () => raw.texts.includes('PING'));
    await settled(raw);
    await world.clock.advance(10_000);
    expect(isOpen(raw)).toBe(true);
    await settled(raw);
    raw.socket.pause();
    await world.clock.advance(40_000);
    raw.socket.resume();
    expect((await raw.closed).code).toBe(1006);
  });
});
