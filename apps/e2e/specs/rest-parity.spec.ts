import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { patience } from '../src/call-for.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { callByRest, callByTrpc, routes, type Answer, type Input } from '../src/doors.ts';
import { isThroughPrism } from '../src/prism.ts';
import { callOverHttp } from '../src/raw-http.ts';
import { callRest } from '../src/rest.ts';
import { startWorld, type World } from '../src/world.ts';

const { SOAK: soak } = process.env;
const numRuns = soak === 'full' ? 1000 : soak === 'ci' ? 100 : isThroughPrism ? 4 : 12;

/** A call with its ids still to be filled in: each twin has its own. */
interface Command {
  readonly procedure: string;
  readonly input: Input;
}

/** Stands for the id of a twin's own session or message, by its age, or for the twin's own. */
interface Reference {
  readonly of: 'session' | 'message' | 'user';
  readonly nth: number;
  /** Whether the id is written so; of a session or a message it is the same. */
  readonly inCapitals: boolean;
}

const junk = fc.constantFrom<unknown>(
  ...[
    null,
    0,
    -1,
    1.5,
    2 ** 53,
    1e308,
    true,
    '',
    'x',
    [],
    ['general'],
    {},
    { a: 1 },
    'a\u0000b',
    '\ud800',
    'x'.repeat(300),
  ],
);
const either = (valid: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 5, arbitrary: valid }, { weight: 1, arbitrary: junk });
/** In a query everything is text, so that only what is wrong as text, too, can be asked at both doors. */
const queried = (...values: (string | number)[]) => fc.constantFrom<unknown>(...values);
const reference = (of: Reference['of']) =>
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        of: fc.constant(of),
        nth: fc.nat(3),
        inCapitals: fc.nat(3).map((one) => one === 0),
      }),
    },
    { weight: 1, arbitrary: fc.constantFrom('01890a5d-ac96-774b-bcce-b302099a8057', 'not-a-uuid', 'a/b c%') },
  );
const session = reference('session');
const user = fc.oneof(
  { weight: 8, arbitrary: fc.constant<Reference>({ of: 'user', nth: 0, inCapitals: false }) },
  { weight: 1, arbitrary: fc.constantFrom('nobody', 'a/b c%', 'a\u0000b', 'x'.repeat(513)) },
);
const message = fc.oneof(
  fc.string({ minLength: 1, maxLength: 40, unit: 'binary' }),
  fc.constantFrom('Hi', '\n', '<b>'),
);
const parameters = either(
  fc.record(
    {
      temperature: either(fc.constantFrom(0, 0.5, 2)),
      topP: either(fc.constantFrom(0, 1)),
      maxTokens: either(fc.constant(9)),
    },
    { requiredKeys: [] },
  ),
);
const metadata = either(fc.dictionary(fc.string({ minLength: 1, maxLength: 6 }), either(fc.string({ maxLength: 6 }))));
const modelId = either(fc.constantFrom('test-model', 'other-model', 'no-such-model'));
const title = either(fc.constantFrom('A title', null, '🌍'.repeat(200), '🌍'.repeat(201)));
const systemPrompt = either(fc.constantFrom('', 'Be brief.', null));
const key = fc.constantFrom('k1', 'k2', '', 'a b', 'x'.repeat(256));
const unknown = fc.constantFrom<unknown>(1, null, 'x');
const reason = queried('Asked to look', '', 'x'.repeat(501));
const time = queried('2026-01-01T00:00:00Z', '2999-01-01T00:00:00.000Z', 'yesterday', '');

const sending = {
  sessionId: session,
  message: either(message),
  modelId,
  parameters,
  idempotencyKey: key,
  unheardOf: unknown,
};
const listing = {
  page: queried(1, 2, 0, -1, 1.5, 'abc', '1e3', ''),
  limit: queried(1, 2, 100, 101, 0, ' 1', 'x'),
  cursor: queried('x', '', 'WzFd'),
};

/** A record of these fields, most of the optional ones left out. */
function command(
  procedure: string,
  fields: Record<string, fc.Arbitrary<unknown>>,
  required: string[] = [],
): fc.Arbitrary<Command> {
  const names = Object.keys(fields).filter((name) => !required.includes(name));
  const chosen = fc.subarray(names, { maxLength: Math.min(3, names.length) });
  return fc.record(fields).chain((all) =>
    chosen.map((optional) => ({
      procedure,
      input: Object.fromEntries(
        Object.entries(all).filter(([name]) => required.includes(name) || optional.includes(name)),
      ),
    })),
  );
}

const commands: Readonly<Record<string, fc.Arbitrary<Command>>> = {
  'session.create': command('session.create', {
    title,
    initialMessage: either(message),
    modelId,
    source: either(fc.constantFrom('cli', 'Upper', 'x'.repeat(33))),
    systemPrompt,
    parameters,
    metadata,
    temporary: either(fc.boolean()),
    idempotencyKey: key,
    unheardOf: unknown,
  }),
  'session.get': command('session.get', { sessionId: session, messageLimit: queried(1, 500, 501, 0, 'x') }, [
    'sessionId',
  ]),
  'session.list': command('session.list', listing),
  'session.update': command(
    'session.update',
    { sessionId: session, title, modelId, systemPrompt, parameters, metadata, unheardOf: unknown },
    ['sessionId'],
  ),
  'session.delete': command('session.delete', { sessionId: session }, ['sessionId']),
  'message.send': command('message.send', sending, ['sessionId', 'message']),
  'message.start': command('message.start', sending, ['sessionId', 'message']),
  'message.stop': command('message.stop', { sessionId: session, streamId: either(reference('message')) }, [
    'sessionId',
  ]),
  'message.finalize': command(
    'message.finalize',
    {
      sessionId: session,
      streamId: either(reference('message')),
      completeResponse: either(fc.constantFrom('Hello from the fake.', 'A forgery', '')),
      tokensUsed: either(fc.constantFrom(0, 4, Number.MAX_SAFE_INTEGER)),
      unheardOf: unknown,
    },
    ['sessionId', 'completeResponse'],
  ),
  'message.list': command('message.list', { sessionId: session, ...listing, order: queried('asc', 'desc', 'up', '') }, [
    'sessionId',
  ]),
  'message.delete': command('message.delete', { sessionId: session, messageId: reference('message') }, [
    'sessionId',
    'messageId',
  ]),
  'model.list': command('model.list', {}),
  'model.recommend': command('model.recommend', {
    task: either(fc.constantFrom('general', 'code', 'cooking')),
    priority: either(fc.constantFrom('balanced', 'speed', 'quality', 'cost', 'beauty')),
    requirements: either(
      fc.record(
        { minContextWindow: either(fc.constantFrom(1, 1e9)), capabilities: either(fc.constant(['general'])) },
        { requiredKeys: [] },
      ),
    ),
    sessionId: either(session),
    unheardOf: unknown,
  }),
  'account.usage': command('account.usage', {}),
  'supervisor.live': command('supervisor.live', { reason }),
  'supervisor.stop': command('supervisor.stop', { sessionId: session, reason, unheardOf: unknown }, ['sessionId']),
  'supervisor.userSessions': command('supervisor.userSessions', { userId: user, reason, ...listing }, ['userId']),
  'supervisor.userSession': command(
    'supervisor.userSession',
    {
      userId: user,
      sessionId: session,
      messageLimit: queried(1, 500, 501, 0, 'x'),
      cursor: queried('x', 'MQ'),
      reason,
    },
    ['userId', 'sessionId'],
  ),
  'supervisor.searchUsers': command(
    'supervisor.searchUsers',
    { query: user, role: queried('admin', 'enduser', 'nobody'), reason, ...listing },
    ['query'],
  ),
  // Of one's own reading alone: the other twin reads as much.
  'supervisor.auditLog': command(
    'supervisor.auditLog',
    { actorId: user, subjectId: user, from: time, to: time, ...listing },
    ['actorId'],
  ),
  'system.health': command('system.health', {}),
  'system.version': command('system.version', {}),
};

const isReference = (value: unknown): value is Reference =>
  typeof value === 'object' && value !== null && 'nth' in value;

/** One of two users to whom the same happens, each through a door of its own. */
class Twin {
  readonly sub: string;
  readonly #world: World;
  readonly #call: typeof callByRest;
  readonly #names = new Map<string, string>();
  readonly #sessions: string[] = [];
  #messages: string[] = [];

  constructor(world: World, sub: string, call: typeof callByRest) {
    this.#world = world;
    this.sub = sub;
    this.#call = call;
  }

  async run({ procedure, input }: Command): Promise<Answer> {
    const filled = Object.fromEntries(Object.entries(input).map(([name, value]) => [name, this.#fill(value)]));
    const answer = await this.#call(this, procedure, filled);
    if (procedure === 'session.create' && answer.status === 201) {
      this.#sessions.push((answer.result as { sessionId: string }).sessionId);
    }
    return this.#named(told(answer)) as Answer;
  }

  get world() {
    return this.#world;
  }

  /** Everything that the user has, read through one and the same door, once nothing is written any more. */
  async state(): Promise<unknown> {
    const reads: unknown[] = [];
    const messages: string[] = [];
    for (const sessionId of this.#sessions) {
      const read = await vi.waitFor(async () => {
        const answer = await callByTrpc(this, 'session.get', { sessionId });
        const result = answer.result as { session: { status: string }; messages: { id: string }[] } | null;
        if (result?.session.status === 'streaming') throw new Error('an answer is still being written');
        return { ...answer, result };
      }, patience);
      messages.push(...(read.result?.messages.map(({ id }) => id) ?? []));
      reads.push(told(read));
    }
    this.#messages = messages;
    return this.#named([reads, told(await callByTrpc(this, 'session.list', {}))]);
  }

  #fill(value: unknown): unknown {
    if (!isReference(value)) return value;
    if (value.of === 'user') return this.sub;
    const ids = value.of === 'session' ? this.#sessions : this.#messages;
    const id = ids[value.nth % Math.max(1, ids.length)] ?? '01890a5d-ac96-774b-bcce-000000000000';
    return value.inCapitals ? id.toUpperCase() : id;
  }

  /** The same with names in the place of what differs between twins: ids, times and the user's own. */
  #named(value: unknown): unknown {
    const text = JSON.stringify(value)
      .replaceAll(this.sub, 'twin')
      .replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/gu, (id) => {
        const name = this.#names.get(id) ?? `id-${this.#names.size}`;
        this.#names.set(id, name);
        return name;
      })
      .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/gu, 'time')
      .replaceAll(/"nextCursor":"[\w-]+"/gu, '"nextCursor":"cursor"')
      .replaceAll(/"remaining":\d+/gu, '"remaining":"some"');
    return JSON.parse(text);
  }
}

/** An answer without what a door says in words of its own. */
function told({ status, result, refusal }: Answer): unknown {
  if (refusal === null) return { status, result };
  const { code, errors, retryAfter, streamId, sessionId, userMessageId } = refusal;
  const paths = (Array.isArray(errors) ? (errors as { path: string }[]) : []).map(({ path }) =>
    path === 'Idempotency-Key' ? 'idempotencyKey' : path,
  );
  return { status, code, paths: paths.toSorted(), retryAfter, streamId, sessionId, userMessageId };
}

describeEachDatabase('REST and tRPC', (kind) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind, env: { MAX_CONCURRENT_GENERATIONS: '1000' } });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  it('are asked for every procedure that answers once', () => {
    expect(Object.keys(commands).toSorted()).toEqual([...routes.keys()].toSorted());
  });

  it(`give the same answers and errors, with the same effects (${numRuns} runs)`, { timeout: 3_600_000 }, async () => {
    let pairs = 0;
    const statuses = new Map<string, Set<number>>();
    const start: Command[] = [
      { procedure: 'session.create', input: { initialMessage: 'First' } },
      { procedure: 'session.create', input: { title: 'Second' } },
      {
        procedure: 'message.send',
        input: { sessionId: { of: 'session', nth: 0, inCapitals: true }, message: 'Hello' },
      },
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(...Object.values(commands)), { minLength: 1, maxLength: 8 }),
        async (generated) => {
          pairs += 1;
          const rest = new Twin(world, `twin-${pairs}-rest`, callByRest);
          const trpc = new Twin(world, `twin-${pairs}-trpc`, callByTrpc);
          for (const one of [...start, ...generated]) {
            // Sessions are in the order of milliseconds: both twins have to see the same one.
            await delay(2);
            const answers = [await rest.run(one), await trpc.run(one)];
            expect(answers[0], JSON.stringify(one)).toEqual(answers[1]);
            expect(await rest.state(), JSON.stringify(one)).toEqual(await trpc.state());
            const seen = statuses.get(one.procedure) ?? new Set();
            statuses.set(one.procedure, seen.add(answers[0]?.status ?? 0));
          }
        },
      ),
      { numRuns, seed: 8 },
    );
    if (numRuns < 25) return;
    // Their silence means something only where both kinds of answers were met.
    const met = [...statuses].flatMap(([procedure, seen]) => [...seen].map((status) => `${procedure} ${status}`));
    expect(met).toEqual(expect.arrayContaining(['session.create 201', 'session.create 400', 'message.send 200']));
    expect(met).toEqual(expect.arrayContaining(['message.send 400', 'message.finalize 200', 'session.update 200']));
    expect(new Set(met.map((one) => one.split(' ')[0])).size).toBe(routes.size);
  });

  describe('after calls over REST', () => {
    it('tRPC takes and refuses what it did before', async () => {
      const sub = 'unchanged';
      const token = await world.token(sub);
      const list = (input: unknown) => callOverHttp(world.url, { type: 'query', path: 'session.list', input, token });
      const inputs = [{}, { limit: 2 }, { limit: '2' }, { page: '1' }, { limit: true }, { limit: null }, undefined];
      const before = await Promise.all(inputs.map(async (input) => (await list(input)).status));
      expect(before).toEqual([200, 200, 400, 400, 400, 400, 200]);
      for (const query of ['limit=2', 'page=1&limit=2', 'limit=abc', 'page=1&page=2', '']) {
        await callRest(world, `GET /api/chat/sessions?${query}`, { sub });
      }
      await callRest(world, 'POST /api/chat/sessions', { sub, body: { temporary: 'true', title: 7 } });
      expect(await Promise.all(inputs.map(async (input) => (await list(input)).status))).toEqual(before);
      const wrong = await callOverHttp(world.url, {
        type: 'mutation',
        path: 'session.create',
        input: { temporary: 'true' },
        token,
      });
      expect(wrong.status).toBe(400);
    });

    it('neither takes a member named __proto__, wherever it is', async () => {
      const sub = 'proto';
      const token = await world.token(sub);
      for (const text of [
        '{"__proto__":{"title":"x"}}',
        '{"title":"x","__proto__":null}',
        '{"metadata":{"__proto__":"x"}}',
        '{"parameters":{"__proto__":{"temperature":1}}}',
        '{"\\u005f_proto__":1}',
      ]) {
        const rest = await callRest(world, 'POST /api/chat/sessions', { sub, raw: text });
        const trpc = await callOverHttp(world.url, {
          type: 'mutation',
          path: 'session.create',
          body: `{"json":${text}}`,
          token,
        });
        expect([text, rest.status, rest.body.code]).toEqual([text, 400, 'BAD_REQUEST']);
        expect([text, trpc.status, trpc.refusal?.['code']]).toEqual([text, 400, 'BAD_REQUEST']);
      }
      const { body } = await callRest<{ sessions: unknown[] }>(world, 'GET /api/chat/sessions', { sub });
      expect(body.sessions).toEqual([]);
      expect(Object.prototype).not.toHaveProperty('title');
    });
  });
});
