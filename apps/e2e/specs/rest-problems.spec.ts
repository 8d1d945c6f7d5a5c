import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { createHandClock } from '../src/hand-clock.ts';
import { isAnyLimit, limitedModels } from '../src/model-limits.ts';
import { callRest, type Problem, type RestAnswer, type RestRequest } from '../src/rest.ts';
import { sendRaw } from '../src/raw-request.ts';
import { startWorld, type World } from '../src/world.ts';

const unknown = '01890a5d-ac96-774b-bcce-b302099a8057';
const maxBodyBytes = 150_000;

describeEachDatabase('a refusal over REST', (kind) => {
  const clock = createHandClock(isAnyLimit);
  let world: World;
  let sessionId: string;
  beforeAll(async () => {
    world = await startWorld({
      kind,
      clock,
      env: { MAX_BODY_BYTES: String(maxBodyBytes) },
      models: [...limitedModels, { id: 'keyless-model', apiKeyEnv: 'NO_SUCH_KEY' }],
    });
    sessionId = await openSession();
  });
  afterAll(() => world[Symbol.asyncDispose]());

  async function openSession(sub = 'alice'): Promise<string> {
    const { body } = await callRest<{ sessionId: string }>(world, 'POST /api/chat/sessions', { sub, body: {} });
    return body.sessionId;
  }

  /** Makes the request and holds the answer against the form that every problem has. */
  async function problem(target: string, request: RestRequest = {}): Promise<RestAnswer<Problem>> {
    const answer = await callRest(world, target, request);
    const { status, headers, body } = answer;
    expect([target, headers.get('content-type')]).toEqual([target, 'application/problem+json']);
    expect(body).toMatchObject({
      type: `urn:chat-service:error:${body.code}`,
      title: expect.stringMatching(/./u),
      detail: expect.stringMatching(/./u),
      status,
      requestId: headers.get('x-request-id'),
    });
    expect(headers.get('cache-control')).toBe('no-store');
    return answer;
  }

  const pathsOf = ({ body }: RestAnswer<Problem>) => body.errors?.map(({ path }) => path);
  const refused = async (target: string, request: RestRequest = {}) => {
    const { status, body } = await problem(target, request);
    return [status, body.code];
  };

  describe('400', () => {
    it.each(['{', '', ' ', 'nonsense', '{"title":1,}', "{'title':'x'}", '\u0000', '{"title":"\n"}', 'NaN'])(
      'for a body that is no JSON: %j',
      async (raw) => {
        // Without a byte there is no body, and none is needed here.
        if (raw === '') return expect((await callRest(world, 'POST /api/chat/sessions', { raw })).status).toBe(201);
        const { status, body } = await problem('POST /api/chat/sessions', { raw });
        expect([status, body.code, body.errors]).toEqual([400, 'BAD_REQUEST', undefined]);
      },
    );

    it.each(['[]', '[{}]', 'null', '7', '"text"', 'true'])('for a body that is no object: %s', async (raw) => {
      expect(await refused('POST /api/chat/sessions', { raw })).toEqual([400, 'BAD_REQUEST']);
      expect(await refused(`PATCH /api/chat/sessions/${sessionId}`, { raw })).toEqual([400, 'BAD_REQUEST']);
    });

    it('for bytes that are no UTF-8', async () => {
      const raw = new Uint8Array([...Buffer.from('{"title":"'), 0xe9, ...Buffer.from('"}')]);
      expect(await refused('POST /api/chat/sessions', { raw })).toEqual([400, 'BAD_REQUEST']);
    });

    it('with the path of each field that is wrong', async () => {
      const answer = await problem('POST /api/chat/sessions', {
        body: {
          title: '',
          parameters: { temperature: 3, unheard: 1 },
          metadata: { key: 7, ['x'.repeat(65)]: '' },
          other: true,
        },
      });
      expect(answer.status).toBe(400);
      expect(new Set(pathsOf(answer))).toEqual(
        new Set([
          'title',
          'parameters.temperature',
          'parameters.unheard',
          'metadata.key',
          `metadata.${'x'.repeat(65)}`,
          'other',
        ]),
      );
    });

    it.each([
      ['GET /api/chat/sessions?limit=1e3', 'limit'],
      ['GET /api/chat/sessions?limit=abc', 'limit'],
      ['GET /api/chat/sessions?limit=', 'limit'],
      ['GET /api/chat/sessions?limit=0', 'limit'],
      ['GET /api/chat/sessions?limit=101', 'limit'],
      ['GET /api/chat/sessions?limit=%2B1', 'limit'],
      ['GET /api/chat/sessions?limit=+1', 'limit'],
      ['GET /api/chat/sessions?limit=%201', 'limit'],
      ['GET /api/chat/sessions?limit=01', 'limit'],
      ['GET /api/chat/sessions?limit=1.0', 'limit'],
      ['GET /api/chat/sessions?limit=0x10', 'limit'],
      ['GET /api/chat/sessions?limit=1&limit=2', 'limit'],
      ['GET /api/chat/sessions?limit=Infinity', 'limit'],
      ['GET /api/chat/sessions?limit=99999999999999999999', 'limit'],
      ['GET /api/chat/sessions?page=0', 'page'],
      ['GET /api/chat/sessions?page=-0', 'page'],
      ['GET /api/chat/sessions?page=-1', 'page'],
      ['GET /api/chat/sessions?page=true', 'page'],
      ['GET /api/chat/sessions?cursor=', 'cursor'],
      ['GET /api/chat/sessions?cursor=unreadable', 'cursor'],
      ['GET /api/chat/sessions?cursor=a&cursor=b', 'cursor'],
      [`GET /api/chat/sessions/{id}/messages?order=up`, 'order'],
      [`GET /api/chat/sessions/{id}/messages?order=asc&order=asc`, 'order'],
      [`GET /api/chat/sessions/{id}?messageLimit=501`, 'messageLimit'],
      [`GET /api/chat/sessions/{id}/stream?streamId=abc`, 'streamId'],
      [`GET /api/chat/sessions/{id}/stream?lastEventId=a&lastEventId=b`, 'lastEventId'],
      ['GET /api/chat/sessions/not-a-uuid', 'sessionId'],
      ['GET /api/chat/sessions/%00', 'sessionId'],
      ['GET /api/chat/sessions/a%2Fb', 'sessionId'],
      ['DELETE /api/chat/sessions/{id}/messages/7', 'messageId'],
    ])('naming the parameter: %s', async (target, path) => {
      const answer = await problem(target.replace('{id}', sessionId));
      expect([answer.status, answer.body.code, pathsOf(answer)]).toEqual([400, 'BAD_REQUEST', [path]]);
    });

    it('not for parameters that nobody knows, nor for good ones', async () => {
      const list = await callRest<{ pagination: unknown }>(
        world,
        'GET /api/chat/sessions?limit=7&unknown=1&unknown=2&__proto__=x&sessionId=x',
      );
      expect([list.status, list.body.pagination]).toEqual([200, expect.objectContaining({ limit: 7, page: 1 })]);
    });

    it.each(['', 'x'.repeat(256), 'über'])('naming the header: Idempotency-Key: %s', async (key) => {
      const answer = await problem(`POST /api/chat/sessions/${sessionId}/stream`, {
        headers: { 'idempotency-key': key },
      });
      expect([answer.status, pathsOf(answer)]).toEqual([400, ['Idempotency-Key']]);
    });

    it('for fields of the body that belong into a header, named as they came', async () => {
      const answer = await problem(`POST /api/chat/sessions/${sessionId}/messages`, {
        headers: { 'idempotency-key': 'a good one' },
        body: { message: 'x', idempotencyKey: 'mine', lastEventId: 'mine' },
      });
      expect([answer.status, pathsOf(answer)]).toEqual([400, ['idempotencyKey', 'lastEventId']]);
    });

    it('for a model that does not exist, and a token in the URL', async () => {
      const answer = await problem('POST /api/chat/sessions', { body: { modelId: 'no-such-model' } });
      expect([answer.status, pathsOf(answer)]).toEqual([400, ['modelId']]);
      expect(await refused('GET /api/chat/sessions?token=abc', { sub: null })).toEqual([400, 'BAD_REQUEST']);
    });
  });

  it('401 comes before everything else, with a challenge', async () => {
    const attempts: [string, RestRequest][] = [
      ['GET /api/chat/sessions', {}],
      ['GET /api/chat/sessions?limit=abc', {}],
      ['GET /api/chat/sessions/not-a-uuid', {}],
      ['POST /api/chat/sessions', { raw: '{' }],
      ['POST /api/chat/sessions', { raw: 'x', headers: { 'content-type': 'text/plain' } }],
      ['POST /api/chat/sessions', { raw: 'x'.repeat(maxBodyBytes + 1) }],
      ['GET /api/chat/sessions', { headers: { accept: 'image/png' } }],
      [`GET /api/chat/sessions/${sessionId}/events`, { headers: { accept: 'text/event-stream' } }],
      ['GET /api/version', {}],
    ];
    for (const [target, request] of attempts) {
      const { status, body, headers } = await problem(target, { ...request, sub: null });
      expect([target, status, body.code]).toEqual([target, 401, 'UNAUTHORIZED']);
      expect(headers.get('www-authenticate')).toBe('Bearer realm="chat-service"');
      const bad = await problem(target, { ...request, token: 'nonsense' });
      expect([target, bad.status, bad.headers.get('www-authenticate')]).toEqual([
        target,
        401,
        expect.stringContaining('error="invalid_token"'),
      ]);
    }
  });

  it('401 finds fault with no token where none was given', async () => {
    const { headers } = await problem('GET /api/models', { sub: null, headers: { authorization: 'Basic YTpi' } });
    expect(headers.get('www-authenticate')).toBe('Bearer realm="chat-service"');
  });

  it('404 has the same bytes for what is foreign and what does not exist', async () => {
    const foreign = await openSession('mallory');
    const sent = await callRest<{ message: { id: string } }>(world, `POST /api/chat/sessions/${foreign}/messages`, {
      sub: 'mallory',
      body: { message: 'Mine.' },
    });
    const { id: messageId } = sent.body.message;
    const requestId = 'the-same-one';
    const body = { completeResponse: 'x', streamId: messageId };
    const targets: [string, RestRequest][] = [
      ['GET /api/chat/sessions/{id}', {}],
      ['GET /api/chat/sessions/{id}/messages', {}],
      ['GET /api/chat/sessions/{id}/stream', {}],
      ['GET /api/chat/sessions/{id}/stream', { headers: { 'last-event-id': 'x' } }],
      [`GET /api/chat/sessions/{id}/stream?streamId=${messageId}`, {}],
      ['GET /api/chat/sessions/{id}/events', {}],
      ['PATCH /api/chat/sessions/{id}', { body: { title: 'x' } }],
      ['DELETE /api/chat/sessions/{id}', {}],
      [`DELETE /api/chat/sessions/{id}/messages/${messageId}`, {}],
      ['POST /api/chat/sessions/{id}/messages', { body: { message: 'x' } }],
      ['POST /api/chat/sessions/{id}/stream', { body: { message: 'x' } }],
      ['POST /api/chat/sessions/{id}/stream', { headers: { 'last-event-id': 'x' } }],
      ['POST /api/chat/sessions/{id}/stop', {}],
      ['POST /api/chat/sessions/{id}/update-stream', { body }],
      ['POST /api/models/recommend', { body: { sessionId: '{id}' } }],
    ];
    for (const [target, request] of targets) {
      const answers = await Promise.all(
        [foreign, unknown].map(async (id) => {
          const headers = { ...request.headers, 'x-request-id': requestId };
          const asked = JSON.parse(JSON.stringify(request).replaceAll('{id}', id)) as RestRequest;
          const { status, text, headers: answered } = await problem(target.replace('{id}', id), { ...asked, headers });
          // Of the headers, time and what is left of the limit go on.
          return [target, status, text, [...answered].filter(([name]) => name !== 'date' && name !== 'ratelimit')];
        }),
      );
      expect(answers[0]?.[1]).toBe(404);
      expect(answers[0]).toEqual(answers[1]);
    }
    expect((await callRest(world, `GET /api/chat/sessions/${foreign}`, { sub: 'mallory' })).status).toBe(200);
  });

  it('404 for paths that nobody knows', async () => {
    const paths = [
      '/api',
      '/api/',
      '/api/nothing',
      '/api/chat/sessions/',
      `/api/chat/sessions/${sessionId}/`,
      '/api//x',
    ];
    for (const path of [...paths, '/api/chat/sessions/%ZZ', '/api/CHAT/sessions']) {
      expect([path, await refused(`GET ${path}`)]).toEqual([path, [404, 'NOT_FOUND']]);
    }
  });

  it.each([
    ['PUT /api/chat/sessions', ['GET', 'HEAD', 'OPTIONS', 'POST']],
    ['POST /api/chat/sessions/{id}', ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH']],
    ['GET /api/chat/sessions/{id}/stop', ['OPTIONS', 'POST']],
    ['DELETE /api/chat/sessions/{id}/stream', ['GET', 'HEAD', 'OPTIONS', 'POST']],
    ['PATCH /api/models', ['GET', 'HEAD', 'OPTIONS']],
    ['GET /api/models/recommend', ['OPTIONS', 'POST']],
    ['POST /api/version', ['GET', 'HEAD', 'OPTIONS']],
    ['POST /api/health', ['GET', 'HEAD', 'OPTIONS']],
    ['DELETE /api/openapi.json', ['GET', 'HEAD', 'OPTIONS']],
  ])('405 says what is allowed: %s', async (target, methods) => {
    const [, path = ''] = target.replace('{id}', sessionId).split(' ');
    const { status, headers, body } = await problem(target.replace('{id}', sessionId));
    expect([status, body.code]).toEqual([405, 'METHOD_NOT_SUPPORTED']);
    expect(headers.get('allow')?.split(', ').toSorted()).toEqual(methods);
    const asked = await fetch(`${world.url}${path}`, { method: 'OPTIONS' });
    expect([asked.status, asked.headers.get('allow'), await asked.text()]).toEqual([204, headers.get('allow'), '']);
  });

  it.each([
    ['GET /api/chat/sessions', 'text/event-stream'],
    ['GET /api/chat/sessions', 'application/json;q=0'],
    ['GET /api/models', 'text/*, application/xml'],
    ['GET /api/chat/sessions/{id}/stream', 'application/json'],
    ['GET /api/chat/sessions/{id}/events', 'text/html'],
    ['POST /api/chat/sessions/{id}/stream', 'image/png'],
  ])('406 where nothing that is accepted can be sent: %s as %s', async (target, accept) => {
    expect(await refused(target.replace('{id}', sessionId), { headers: { accept } })).toEqual([406, 'NOT_ACCEPTABLE']);
  });

  describe('413', () => {
    it.each(['with a length', 'without one'])('for a body that is too large, %s', async (how) => {
      const { port } = new URL(world.url);
      const token = await world.token();
      const text = JSON.stringify({ title: 'x'.repeat(maxBodyBytes) });
      const chunk = `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`;
      const isKnown = how === 'with a length';
      const answer = await sendRaw(
        Number(port),
        [
          'POST /api/chat/sessions HTTP/1.1',
          'Host: localhost',
          `Authorization: Bearer ${token}`,
          'Content-Type: application/json',
          isKnown ? `Content-Length: ${text.length}` : 'Transfer-Encoding: chunked',
          '',
          isKnown ? text : chunk,
        ].join('\r\n'),
      );
      expect(answer).toMatchObject({ status: 413 });
      expect(answer.header('content-type')).toBe('application/problem+json');
      expect(answer.header('connection')).toBe('close');
      expect(JSON.parse(answer.body)).toMatchObject({ code: 'PAYLOAD_TOO_LARGE', status: 413 });
    });

    it('of every operation that takes one', async () => {
      const body = { title: 'x'.repeat(maxBodyBytes) };
      for (const target of ['POST /api/chat/sessions', `PATCH /api/chat/sessions/${sessionId}`]) {
        expect(await refused(target, { body })).toEqual([413, 'PAYLOAD_TOO_LARGE']);
      }
    });

    it('not for one of exactly the limit', async () => {
      const around = JSON.stringify({ metadata: {} }).length;
      const raw = `${' '.repeat(maxBodyBytes - around)}${JSON.stringify({ metadata: {} })}`;
      expect((await callRest(world, 'POST /api/chat/sessions', { raw })).status).toBe(201);
      expect(await refused('POST /api/chat/sessions', { raw: ` ${raw}` })).toEqual([413, 'PAYLOAD_TOO_LARGE']);
    });
  });

  it.each([
    ['content-type', 'text/plain'],
    ['content-type', 'application/x-www-form-urlencoded'],
    ['content-type', 'application/jsonp'],
    ['content-type', 'application/merge-patch+json'],
    ['content-type', 'application/json; charset=iso-8859-1'],
    ['content-encoding', 'gzip'],
  ])('415 for a body with %s: %s', async (header, value) => {
    const request = { body: {}, headers: { [header]: value } };
    expect(await refused('POST /api/chat/sessions', request)).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
  });

  it.each([
    'application/json',
    'APPLICATION/JSON',
    'application/json; charset=utf-8',
    'application/json;charset="UTF-8"',
  ])('no 415 for %s', async (type) => {
    const answer = await callRest(world, 'POST /api/chat/sessions', { body: {}, headers: { 'content-type': type } });
    expect(answer.status).toBe(201);
  });

  it('422, 409, 502, 503 and 504 say what to go on with', async () => {
    const id = await openSession();
    const target = `POST /api/chat/sessions/${id}/messages`;
    const key = { 'idempotency-key': 'mine' };
    expect((await callRest(world, target, { body: { message: 'One.' }, headers: key })).status).toBe(200);
    expect(await refused(target, { body: { message: 'Two.' }, headers: key })).toEqual([422, 'IDEMPOTENCY_KEY_REUSED']);

    expect(await refused(`POST /api/chat/sessions/${id}/stop`)).toEqual([409, 'CONFLICT']);
    world.openai.script('Hold on', { chunks: ['a'], hold: 'every' });
    const index = world.openai.calls.length;
    const running = callRest<{ message: { id: string } }>(world, target, { body: { message: 'Hold on' } });
    const call = await world.openai.call(index);
    const busy = await problem(target, { body: { message: 'Me too' } });
    expect([busy.status, busy.body.code]).toEqual([409, 'GENERATION_IN_PROGRESS']);
    const asJson = { body: { message: 'Me too' }, headers: { accept: 'application/json' } };
    expect(await refused(`POST /api/chat/sessions/${id}/stream`, asJson)).toEqual([409, 'GENERATION_IN_PROGRESS']);
    call.releaseAll();
    expect((await running).body.message.id).toBe(busy.body.streamId);

    world.openai.script('Fail', { fault: { at: 0, kind: 'error' } });
    const failed = await problem(target, { body: { message: 'Fail' } });
    expect([failed.status, failed.body.code]).toEqual([502, 'MODEL_ERROR']);
    world.openai.script('Late', { fault: { at: 0, kind: 'stall' } });
    const late = await clock.passUntil(problem(target, { body: { message: 'Late', modelId: 'late-model' } }));
    expect([late.status, late.body.code]).toEqual([504, 'MODEL_TIMEOUT']);
    type Messages = { messages: { id: string; status: string; role: string }[] };
    const { body: read } = await callRest<Messages>(world, `GET /api/chat/sessions/${id}/messages`);
    for (const { body } of [failed, late]) {
      const answer = read.messages.findIndex((message) => message.id === body.streamId);
      expect(read.messages[answer]).toMatchObject({ role: 'assistant', status: 'failed' });
      expect(read.messages[answer - 1]).toMatchObject({ role: 'user', id: body.userMessageId });
    }

    const away = await problem(target, { body: { message: 'Away', modelId: 'keyless-model' } });
    expect([away.status, away.body.code]).toEqual([503, 'MODEL_UNAVAILABLE']);
    expect(Number(away.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(away.body.retryAfter).toBe(Number(away.headers.get('retry-after')));
    expect(failed.headers.has('retry-after')).toBe(false);
  });

  it('says 503 while the keys of the tokens cannot be had', async () => {
    await using other = await startWorld({ kind: 'sqlite' });
    await other.auth.startOutage('refused');
    const { status, body, headers } = await callRest(other, 'GET /api/models');
    expect([status, body.code, headers.get('content-type')]).toEqual([
      503,
      'AUTH_UNAVAILABLE',
      'application/problem+json',
    ]);
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    expect(headers.has('www-authenticate')).toBe(false);
  });
});
