import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { patience } from '../src/call-for.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { sendRaw } from '../src/raw-request.ts';
import { answered } from '../src/rest-answers.ts';
import { callRest, openRestStream, type RestRequest } from '../src/rest.ts';
import { startWorld, type World } from '../src/world.ts';

const unknown = '01890a5d-ac96-774b-bcce-b302099a8057';

describeEachDatabase('HTTP on the REST door', (kind) => {
  let world: World;
  let sessionId: string;
  beforeAll(async () => {
    world = await startWorld({ kind, env: { CORS_ORIGINS: 'https://app.example' } });
    sessionId = await openSession();
  });
  afterAll(() => world[Symbol.asyncDispose]());

  async function openSession(sub = 'alice'): Promise<string> {
    const { body } = await callRest<{ sessionId: string }>(world, 'POST /api/chat/sessions', { sub, body: {} });
    return body.sessionId;
  }
  const refused = async (target: string, request: RestRequest = {}) => {
    const { status, body } = await callRest(world, target, request);
    return [status, body.code];
  };

  it('carries the request id that came, if it is a good one, and a new one otherwise', async () => {
    for (const given of ['mine', 'a.b_c-9', 'x'.repeat(128)]) {
      const { headers, body } = await callRest(world, 'GET /api/nothing', { headers: { 'x-request-id': given } });
      expect([headers.get('x-request-id'), body.requestId]).toEqual([given, given]);
    }
    for (const given of ['', 'two words', 'x'.repeat(129), 'a/b', '<x>']) {
      const { body } = await callRest(world, 'GET /api/nothing', { headers: { 'x-request-id': given } });
      expect(body.requestId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/u);
    }
    const good = await callRest(world, 'GET /api/models', { headers: { 'x-request-id': 'mine' } });
    expect([good.status, good.headers.get('x-request-id')]).toEqual([200, 'mine']);
  });

  it('says in a problem what is wrong with a request that names no host, and takes an expectation for none', async () => {
    const token = await world.token();
    const ask = (...lines: readonly string[]) => {
      const head = ['GET /api/models HTTP/1.1', `Authorization: Bearer ${token}`, 'Connection: close', ...lines];
      return sendRaw(Number(new URL(world.url).port), `${head.join('\r\n')}\r\n\r\n`);
    };
    const nowhere = await ask();
    expect([nowhere.status, nowhere.header('content-type')]).toEqual([400, 'application/problem+json']);
    expect(JSON.parse(nowhere.body)).toMatchObject({
      code: 'BAD_REQUEST',
      requestId: nowhere.header('x-request-id'),
    });
    expect((await ask('Host: localhost')).status).toBe(200);
    expect((await ask('Host: localhost', 'Expect: the-best')).status).toBe(200);
  });

  it('HEAD has the status and the headers of GET, and no body', async () => {
    for (const path of ['/api/chat/sessions', `/api/chat/sessions/${sessionId}`, '/api/models', '/api/nothing']) {
      const [got, head] = await Promise.all(['GET', 'HEAD'].map((method) => callRest(world, `${method} ${path}`)));
      expect([path, head?.status, head?.text]).toEqual([path, got?.status, '']);
      for (const name of ['content-type', 'cache-control'])
        expect(head?.headers.get(name)).toBe(got?.headers.get(name));
    }
    expect((await callRest(world, 'HEAD /api/chat/sessions', { sub: null })).status).toBe(401);
  });

  it('HEAD of a stream says what GET would and begins nothing; of an observation it is not taken', async () => {
    const { sub, sessionId: conversation } = await answered(world);
    const token = await world.token('sue', { role: 'supervisor' });
    const { query, tables } = await world.openDatabase();
    const rowCounts = () => Promise.all(Object.values(tables).map((table) => query.$count(table)));
    const observer = await openRestStream(world, `GET /api/chat/sessions/${conversation}/observe`, { token });
    await vi.waitFor(() => expect(observer.events.at(-1)?.name).toBe('history-end'), patience);
    const before = await rowCounts();
    const told = observer.events.length;

    for (const [path, status] of [
      [`${conversation}/events`, 200],
      [`${conversation}/stream`, 200],
      [`${sessionId}/events`, 404],
      [`${conversation}/stream?streamId=${unknown}`, 404],
    ] as const) {
      const head = await callRest(world, `HEAD /api/chat/sessions/${path}`, { sub });
      const got = await openRestStream(world, `GET /api/chat/sessions/${path}`, { sub });
      got.leave();
      expect([path, head.status, got.status, head.text]).toEqual([path, status, status, '']);
      for (const name of ['content-type', 'cache-control', 'x-accel-buffering']) {
        expect(head.headers.get(name)).toBe(got.headers.get(name));
      }
    }
    expect((await callRest(world, `HEAD /api/chat/sessions/${sessionId}/stream`)).status).toBe(204);
    for (const session of [conversation, unknown]) {
      const head = await callRest(world, `HEAD /api/chat/sessions/${session}/observe`, { token });
      expect([head.status, head.headers.get('allow'), head.text]).toEqual([405, 'GET, OPTIONS', '']);
    }

    expect(await rowCounts()).toEqual(before);
    // Had anybody come or gone, the observer would have been told that first.
    await callRest(world, `PATCH /api/chat/sessions/${conversation}`, { sub, body: { title: 'Renamed' } });
    await observer.until(told + 1);
    expect(observer.events.slice(told).map(({ name }) => name)).toEqual(['session-updated']);
    observer.leave();
  });

  it('can be read by pages that may call, and is all that others get', async () => {
    const path = `/api/chat/sessions/${unknown}`;
    const origin = 'https://app.example';
    const asked = await fetch(`${world.url}${path}`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'PATCH', 'access-control-request-headers': 'authorization' },
    });
    expect(asked.status).toBe(204);
    expect(asked.headers.get('access-control-allow-origin')).toBe(origin);
    expect(asked.headers.get('access-control-allow-methods')).toContain('PATCH');
    for (const name of ['Authorization', 'Content-Type', 'Idempotency-Key', 'Last-Event-ID']) {
      expect(asked.headers.get('access-control-allow-headers')).toContain(name);
    }
    const { status, headers } = await callRest(world, `GET ${path}`, { headers: { origin } });
    expect([status, headers.get('access-control-allow-origin')]).toEqual([404, origin]);
    expect(headers.get('access-control-expose-headers')).toContain('X-Request-Id');
    expect(headers.get('vary')).toContain('Origin');
    const elsewhere = await callRest(world, `GET ${path}`, { headers: { origin: 'https://elsewhere.example' } });
    expect([elsewhere.status, elsewhere.headers.has('access-control-allow-origin')]).toEqual([403, false]);
  });

  it('is not got round by naming another session in the body or the query: the path wins', async () => {
    const foreign = await openSession('mallory');
    const own = await openSession();
    const changed = await callRest<{ session: { id: string } }>(
      world,
      `PATCH /api/chat/sessions/${own}?sessionId=${foreign}`,
      { body: { sessionId: foreign, title: 'Renamed' }, isUndescribed: true },
    );
    expect([changed.status, changed.body.session.id]).toEqual([200, own]);
    expect(await refused(`PATCH /api/chat/sessions/${foreign}`, { body: { sessionId: own } })).toEqual([
      404,
      'NOT_FOUND',
    ]);
    const read = await callRest<{ session: { id: string } }>(
      world,
      `GET /api/chat/sessions/${own}?sessionId=${foreign}`,
    );
    expect(read.body.session.id).toBe(own);
    expect((await callRest(world, `DELETE /api/chat/sessions/${own}?sessionId=${foreign}`)).status).toBe(204);
    expect((await callRest(world, `GET /api/chat/sessions/${foreign}`, { sub: 'mallory' })).status).toBe(200);
  });
});
