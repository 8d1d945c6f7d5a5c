import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { tryRaw } from '../src/raw-request.ts';
import { callRest } from '../src/rest.ts';
import { startWorld, type World } from '../src/world.ts';

const { SOAK: soak } = process.env;
const count = soak === 'full' ? 20_000 : soak === 'ci' ? 2000 : 1000;
/** Every run tries the same, a longer one more. */
const seed = 20_261;
const maxBodyBytes = 400_000;

/** What a dependency, the database or a stack would say, and we never do. */
const internals =
  /node_modules|\.[cm]?[jt]s:\d|\n\s+at |\bselect\b|\binsert into\b|\bwhere\b|sqlite|postgres|drizzle|zod|trpc|hono|superjson|econn|\/work\/|\/tmp\/|(?:Type|Syntax|Range|Reference)Error|unexpected (?:token|end)|out of range|invalid input syntax|is not (?:a function|iterable|defined)|cannot read propert/iu;

const evilText = fc.oneof(
  fc.constantFrom(
    "' OR 1=1 --",
    '"; DROP TABLE sessions; --',
    '../../../../etc/passwd',
    '%00',
    '${7*7}',
    '{{7*7}}',
    '<script>alert(1)</script>',
    '\u0000',
    '\u2028\r\nid: 1\r\n\r\n',
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    '-1',
    'NaN',
    '9'.repeat(400),
    '1e308',
    'é'.repeat(1000),
    '\u202e\ufeff\ufffd',
    'x'.repeat(40_000),
  ),
  fc.string({ unit: 'binary', maxLength: 60 }),
);

const evilJson = fc.oneof(
  fc.jsonValue({ maxDepth: 4, stringUnit: 'binary' }).map((value) => JSON.stringify(value)),
  evilText.map((text) =>
    JSON.stringify({ title: text, message: text, systemPrompt: text, metadata: { [text]: text } }),
  ),
  evilText.map((text) => JSON.stringify({ message: text })),
  evilText.map((text) => JSON.stringify({ completeResponse: text, streamId: text, tokensUsed: text })),
  evilText.map((text) => JSON.stringify({ sessionId: text, task: text, requirements: { capabilities: [text] } })),
  evilText,
  fc.constantFrom(
    '['.repeat(100_000),
    `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
    `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`,
    `{"metadata":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}}`,
    `{"title":${'['.repeat(50_000)}${']'.repeat(50_000)}}`,
    `{"parameters":{"maxTokens":${'9'.repeat(1000)}}}`,
    '{"parameters":{"maxTokens":1e999,"temperature":-1e999}}',
    '{"parameters":{"maxTokens":9007199254740991}}',
    '{"parameters":{"temperature":1e-400}}',
    '{"__proto__":{"title":"x"},"constructor":{"prototype":{"x":1}}}',
    '{"metadata":{"constructor":"x","prototype":"x","toString":"x","__defineGetter__":"x"}}',
    '{"title":"\\ud800"}',
    '{"message":"\\udfff\\ud800"}',
    '{"message":"x\\u0000y"}',
    '{"metadata":{"\\ud800":"x"}}',
    '{"metadata":{"a":"\\ud800"}}',
    '{"title":"a","title":7,"title":"b"}',
    '{"message":"a","message":null}',
    '\ufeff{"title":"x"}',
    '\ufeff',
    `{${Array.from({ length: 20_000 }, (_, index) => `"k${index}":1`).join(',')}}`,
    `{"metadata":{${Array.from({ length: 20_000 }, (_, index) => `"k${index}":"v"`).join(',')}}}`,
    `{"requirements":{"capabilities":[${Array.from({ length: 20_000 }, () => '"code"').join(',')}]}}`,
  ),
);
const evilBytes = fc.oneof(
  evilJson.map((text) => Buffer.from(text)),
  evilJson.map((text) => Buffer.from(text.slice(0, 5000), 'utf16le')),
  evilJson.map((text) => Buffer.from(text, 'latin1')),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
);

const escaped = evilText.map((text) => encodeURIComponent(text.toWellFormed()).slice(0, 3000));
const rawQuery = fc.oneof(
  escaped,
  fc.constantFrom('%', '%ZZ', '%ff%fe', '&&==&', '[]=1', 'a[b]=c', '+', ';', '%00', '?', 'x'.repeat(12_000)),
);
const id = fc.oneof(
  { weight: 3, arbitrary: fc.constant('{id}') },
  { weight: 1, arbitrary: rawQuery.map((text) => text.replaceAll(/[?&=/ ]/gu, '') || 'x') },
);
const ending = fc.constantFrom(
  '',
  '/messages',
  '/stream',
  '/events',
  '/stop',
  '/update-stream',
  '/messages/{id}',
  '/nothing',
  '//',
);
const path = fc.oneof(
  fc.tuple(id, ending).map(([session, rest]) => `/api/chat/sessions/${session}${rest}`),
  fc.constantFrom(
    '/api/chat/sessions',
    '/api/models',
    '/api/models/recommend',
    '/api/version',
    '/api/health',
    '/api/docs/x',
  ),
);
const name = fc.constantFrom(
  'limit',
  'page',
  'cursor',
  'order',
  'messageLimit',
  'streamId',
  'lastEventId',
  '__proto__',
  'x',
);
const query = fc
  .array(fc.tuple(name, rawQuery), { maxLength: 3 })
  .map((pairs) => pairs.map((pair) => pair.join('=')).join('&'));

/** A value that can be on a line of a request's head; bytes as they are. */
const headerText = fc.oneof(
  evilText.map((text) => text.replaceAll(/[\r\n\0]/gu, ' ').slice(0, 2000)),
  fc.constantFrom(
    '',
    ' ',
    ',,,',
    ';;;',
    'q=',
    '*/*;q=nonsense',
    'a/b;q=1e999',
    '\u0001\u007f',
    '"',
    'x'.repeat(20_000),
  ),
);
const headerName = fc.constantFrom(
  ...[
    'Accept',
    'Accept-Encoding',
    'Accept-Language',
    'Idempotency-Key',
    'Last-Event-ID',
    'X-Request-Id',
    'Content-Type',
  ],
  ...['Content-Encoding', 'Origin', 'Cookie', 'X-Forwarded-For', 'Forwarded', 'Traceparent', 'Trpc-Accept', 'Upgrade'],
  ...['If-None-Match', 'Range', 'Expect', 'X-HTTP-Method-Override', 'Access-Control-Request-Method', '__proto__', 'TE'],
);
interface Hostile {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: readonly (readonly [string, string])[];
  /** In the place of a good token. */
  readonly authorization: string | null;
  readonly body: Buffer | null;
}

const harmless = {
  query: fc.constant(''),
  headers: fc.constant([]),
  authorization: fc.constant(null),
  body: fc.constant(null),
};
const bodies: fc.Arbitrary<Hostile> = fc
  .constantFrom(
    ...['POST /api/chat/sessions', 'POST /api/chat/sessions', 'PATCH /api/chat/sessions/{id}'],
    ...['POST /api/chat/sessions/{id}/messages', 'POST /api/chat/sessions/{id}/stream', 'POST /api/models/recommend'],
    ...['POST /api/chat/sessions/{id}/stop', 'POST /api/chat/sessions/{id}/update-stream'],
  )
  .chain((target) => {
    const [method = '', aim = ''] = target.split(' ');
    const types = [
      'application/json',
      'application/json; charset=utf-16',
      'text/html',
      'application/x-www-form-urlencoded',
    ];
    return fc.record({
      ...harmless,
      method: fc.constant(method),
      path: fc.constant(aim),
      headers: fc.oneof(
        { weight: 4, arbitrary: fc.constant([]) },
        { weight: 1, arbitrary: fc.constantFrom(...types).map((type) => [['Content-Type', type] as const]) },
      ),
      body: fc.oneof(
        { weight: 20, arbitrary: evilBytes },
        { weight: 1, arbitrary: fc.constant(Buffer.alloc(maxBodyBytes + 1, 'x')) },
      ),
    });
  });
const queries: fc.Arbitrary<Hostile> = fc.record({
  ...harmless,
  method: fc.constantFrom('GET', 'GET', 'GET', 'DELETE', 'HEAD'),
  path: fc.constantFrom(
    '/api/chat/sessions',
    ...['', '/messages', '/stream', '/events'].map((end) => `/api/chat/sessions/{id}${end}`),
  ),
  query,
});
const paths: fc.Arbitrary<Hostile> = fc.record({
  ...harmless,
  method: fc.constantFrom('GET', 'POST', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'PUT', 'PROPFIND', 'NOPE', 'get'),
  path,
});
const heads: fc.Arbitrary<Hostile> = fc.record({
  ...harmless,
  method: fc.constantFrom('GET', 'POST', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'),
  path,
  headers: fc.array(fc.tuple(headerName, headerText), { minLength: 1, maxLength: 3 }),
  authorization: fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: headerText }),
});
const hostile = fc.oneof(
  { weight: 4, arbitrary: bodies },
  { weight: 3, arbitrary: queries },
  { weight: 1, arbitrary: paths },
  { weight: 2, arbitrary: heads },
);

describeEachDatabase(`${count} hostile requests`, (kind) => {
  let world: World;
  let sessionId: string;
  beforeAll(async () => {
    world = await startWorld({
      kind,
      env: { MAX_BODY_BYTES: String(maxBodyBytes), MAX_CONCURRENT_GENERATIONS: '1000' },
    });
    const { body } = await callRest<{ sessionId: string }>(world, 'POST /api/chat/sessions', {
      body: { initialMessage: 'First' },
    });
    ({ sessionId } = body);
  });
  afterAll(() => world[Symbol.asyncDispose]());

  it('get no 5xx and no internals, and leave a service that works', { timeout: 3_600_000 }, async () => {
    const lines = world.logs.length;
    const token = await world.token('mallory');
    const port = Number(new URL(world.url).port);
    const statuses = new Map<number, number>();
    const open = async () => {
      const made = await callRest<{ sessionId: string }>(world, 'POST /api/chat/sessions', {
        sub: 'mallory',
        body: {},
      });
      return made.body.sessionId;
    };
    let own = await open();
    for (const request of fc.sample(hostile, { numRuns: count, seed })) {
      const { method, headers, authorization, body } = request;
      const target = request.path.replaceAll('{id}', own);
      const search = request.query === '' ? '' : `?${request.query}`;
      const hasType = headers.some(([one]) => one === 'Content-Type');
      const text = [
        `${method} ${target}${search} HTTP/1.1`,
        'Host: localhost',
        'Connection: close',
        `Authorization: ${authorization ?? `Bearer ${token}`}`,
        ...(body === null
          ? []
          : [`Content-Length: ${body.length}`, ...(hasType ? [] : ['Content-Type: application/json'])]),
        ...headers.map((pair) => pair.join(': ')),
        '\r\n',
      ].join('\r\n');
      const bytes = Buffer.concat([Buffer.from(text, 'latin1'), body ?? Buffer.alloc(0)]);
      const where = JSON.stringify({ ...request, body: body?.toString('latin1').slice(0, 200) }).slice(0, 2000);
      // A stream that does not end by itself is left once it has begun.
      const answer = await tryRaw(port, bytes, { leaveStreams: true });
      if (answer === null) throw new Error(`no answer: ${where}`);
      expect(answer.status, `${where}\n${answer.body}`).toBeLessThan(500);
      if (answer.status >= 400) expect(answer.body, where).not.toMatch(internals);
      expect([...answer.lines], where).not.toContainEqual(expect.stringMatching(/^(?:x-powered-by|server):/iu));
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
      if (method === 'DELETE' && answer.status === 204) own = await open();
    }
    // Many doors were knocked at, not one a thousand times.
    expect([...statuses.keys()]).toEqual(
      expect.arrayContaining([200, 201, 204, 400, 401, 404, 405, 406, 413, 415, 431]),
    );
    const told = world.logs.slice(lines).map((line) => JSON.parse(line) as { level: string });
    expect(told.filter(({ level }) => level === 'error')).toEqual([]);
    const read = await callRest<{ messages: { content: string }[] }>(world, `GET /api/chat/sessions/${sessionId}`);
    expect(read.body.messages.map(({ content }) => content)).toEqual(['First']);
    const sent = await callRest(world, `POST /api/chat/sessions/${sessionId}/messages`, { body: {} });
    expect(sent.status).toBe(200);
  });
});
