import type { AnyTRPCProcedure, AnyTRPCRouter } from '@trpc/server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { patience } from '../src/call-for.ts';
import { collect } from '../src/collect.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { callOverHttp } from '../src/raw-http.ts';
import { openRawSocket } from '../src/raw-socket.ts';
import { startWorld, type World } from '../src/world.ts';
import { declaredRouter } from '../../../packages/server/test/support/declared-router.ts';

interface Ids {
  readonly sessionId: string;
  /** Of an answer. */
  readonly messageId: string;
  readonly streamId: string;
  readonly lastEventId: string;
}

/** A call that takes ids, made with whichever of them the test gives. */
type Case = (ids: Ids) => Record<string, unknown>;

/** Every procedure that takes an id, with each way to name something in it. */
const cases: Record<string, readonly Case[]> = {
  'session.get': [({ sessionId }) => ({ sessionId })],
  'session.update': [({ sessionId }) => ({ sessionId, title: 'Taken over' })],
  'session.follow': [({ sessionId }) => ({ sessionId }), ({ sessionId, lastEventId }) => ({ sessionId, lastEventId })],
  'session.delete': [({ sessionId }) => ({ sessionId })],
  'message.send': [({ sessionId }) => ({ sessionId, message: 'Hello' }), ({ sessionId }) => ({ sessionId })],
  'message.start': [({ sessionId }) => ({ sessionId, message: 'Hello', idempotencyKey: 'start' })],
  'message.stream': [
    ({ sessionId }) => ({ sessionId, message: 'Hello', idempotencyKey: 'stream' }),
    ({ sessionId, lastEventId }) => ({ sessionId, message: 'Hello', idempotencyKey: 'resume', lastEventId }),
  ],
  'message.follow': [
    ({ sessionId }) => ({ sessionId }),
    ({ sessionId, streamId }) => ({ sessionId, streamId }),
    ({ sessionId, streamId, lastEventId }) => ({ sessionId, streamId, lastEventId }),
  ],
  'message.stop': [({ sessionId }) => ({ sessionId }), ({ sessionId, streamId }) => ({ sessionId, streamId })],
  'message.finalize': [
    ({ sessionId }) => ({ sessionId, completeResponse: '' }),
    ({ sessionId, streamId }) => ({ sessionId, streamId, completeResponse: '' }),
  ],
  'message.list': [({ sessionId }) => ({ sessionId, order: 'desc' })],
  'model.recommend': [({ sessionId }) => ({ sessionId })],
  'message.delete': [({ sessionId, messageId }) => ({ sessionId, messageId })],
};

const router: AnyTRPCRouter = declaredRouter;
/** But for what supervisors call: others are told 403 there, whatever they ask for (supervision.spec.ts). */
const procedures = Object.entries(router._def.procedures as Record<string, AnyTRPCProcedure>).filter(
  ([path]) => !path.startsWith('supervisor.'),
);
const typeOf = (path: string) => procedures.find(([name]) => name === path)?.[1]._def.type;

/** Names of something that belongs to a user; a model belongs to nobody, and an event id is judged by its session. */
const isOwnedId = (field: string) => field.endsWith('Id') && !['modelId', 'lastEventId'].includes(field);

/** What of a zod schema tells the fields. */
interface InputSchema {
  readonly shape?: Readonly<Record<string, unknown>>;
  /** Of a wrapper, as `optional`. */
  readonly def?: { readonly innerType?: InputSchema };
}

/** Field names of a procedure's input. */
function inputFields(inputs: readonly unknown[]): string[] {
  return inputs.flatMap((input) => {
    let schema = input as InputSchema;
    while (schema.shape === undefined && schema.def?.innerType !== undefined) schema = schema.def.innerType;
    if (schema.shape === undefined) throw new Error('an input whose fields cannot be read');
    return Object.keys(schema.shape);
  });
}

describe('the cases', () => {
  it('are there for every procedure that takes an id, and name every id it takes', () => {
    const ids: Ids = { sessionId: 's', messageId: 'm', streamId: 'g', lastEventId: 'e' };
    const taking = procedures.map(([path, { _def }]) => [path, inputFields(_def.inputs).filter(isOwnedId)] as const);
    expect(taking.length).toBeGreaterThan(14);
    const covered = Object.entries(cases).map(([path, ways]) => {
      const named = new Set(ways.flatMap((way) => Object.keys(way(ids)).filter(isOwnedId)));
      return [path, [...named].toSorted()];
    });
    const expected = taking
      .filter(([, fields]) => fields.length > 0)
      .map(([path, fields]) => [path, fields.toSorted()]);
    expect(Object.fromEntries(covered)).toEqual(Object.fromEntries(expected));
  });
});

const unknownIds: Ids = {
  sessionId: '01900000-0000-7000-8000-000000000001',
  messageId: '01900000-0000-7000-8000-000000000002',
  streamId: '01900000-0000-7000-8000-000000000002',
  lastEventId: '0000000000000000000000000000000000000000',
};

describeEachDatabase("what is another user's", (kind) => {
  let world: World;
  let alices: Ids;
  let bobs: Ids;
  let release: () => void;

  beforeAll(async () => {
    world = await startWorld({ kind });
    world.openai.script('Keep running', { hold: [1] });
    const alice = world.trpc('alice').trpc;
    const { sessionId } = await alice.session.create.mutate({ title: 'Of Alice' });
    const { message } = await alice.message.send.mutate({ sessionId, message: 'Private' });
    await alice.message.start.mutate({ sessionId, message: 'Keep running' });
    const running = collect((subscriber) => alice.message.follow.subscribe({ sessionId }, subscriber));
    await running.until(2);
    const call = await world.openai.call(1);
    release = call.releaseAll;
    alices = { sessionId, messageId: message.id, streamId: message.id, lastEventId: running.events[0]?.id ?? '' };
    const bob = world.trpc('bob').trpc;
    const own = await bob.session.create.mutate({ title: 'Of Bob', initialMessage: 'Hello' });
    const answered = await bob.message.send.mutate({ sessionId: own.sessionId });
    const { id } = answered.message;
    bobs = { sessionId: own.sessionId, messageId: id, streamId: id, lastEventId: '' };
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const requestIdOf = /"requestId":"[0-9a-f-]{36}(?:\.\d+)?"/u;
  const anonymous = (text: string) => {
    expect(text).toMatch(requestIdOf);
    return text.replace(requestIdOf, '"requestId":""');
  };

  /** Everything that Bob is told over one door, but for the request id and the time. */
  async function answerOver(
    door: 'http' | 'websocket',
    path: string,
    input: Record<string, unknown>,
  ): Promise<unknown> {
    const type = typeOf(path);
    const token = await world.token('bob');
    if (door === 'http' && type !== 'subscription') {
      const { status, headers, text } = await callOverHttp(world.url, { type: type ?? 'query', path, input, token });
      const told = [...headers].filter(([name]) => !['date', 'x-request-id', 'ratelimit'].includes(name));
      return { status, headers: told, text: anonymous(text) };
    }
    await using socket = await openRawSocket(world.url, { token });
    const reply = await socket.call(type ?? 'query', path, input);
    return anonymous(JSON.stringify(reply));
  }

  const notFound = expect.stringContaining('"code":"NOT_FOUND"');
  const doorsOf = (path: string): readonly ('http' | 'websocket')[] =>
    typeOf(path) === 'subscription' ? ['websocket'] : ['http', 'websocket'];

  describe.each(Object.keys(cases))('%s', (path) => {
    it('answers as for a session that does not exist', async () => {
      for (const build of cases[path] ?? []) {
        for (const door of doorsOf(path)) {
          const foreign = await answerOver(door, path, build(alices));
          const unknown = await answerOver(door, path, build(unknownIds));
          expect(foreign).toEqual(unknown);
          expect(unknown).toEqual(
            door === 'http' ? expect.objectContaining({ status: 404, text: notFound }) : notFound,
          );
        }
      }
    });

    it("answers as for a message or answer that does not exist, in one's own session", async () => {
      for (const build of cases[path] ?? []) {
        const { sessionId } = bobs;
        const named = Object.keys(build(alices)).filter((field) => field !== 'sessionId' && isOwnedId(field));
        if (named.length === 0) continue;
        for (const door of doorsOf(path)) {
          const foreign = await answerOver(door, path, build({ ...alices, sessionId }));
          const unknown = await answerOver(door, path, build({ ...unknownIds, sessionId }));
          expect(foreign).toEqual(unknown);
          expect(unknown).toEqual(
            door === 'http' ? expect.objectContaining({ status: 404, text: notFound }) : notFound,
          );
        }
      }
    });
  });

  it("does not say whether an event id is of somebody else's session", async () => {
    const { sessionId, streamId } = bobs;
    for (const path of ['message.follow', 'message.stream']) {
      const own = { sessionId, ...(path === 'message.stream' ? { message: 'x', idempotencyKey: 'x' } : { streamId }) };
      const foreign = await answerOver('websocket', path, { ...own, lastEventId: alices.lastEventId }).catch(String);
      const unknown = await answerOver('websocket', path, { ...own, lastEventId: unknownIds.lastEventId }).catch(
        String,
      );
      const strip = (value: unknown) => JSON.stringify(value);
      expect(strip(foreign)).toBe(strip(unknown));
    }
  });

  it('is not in a list, and is not changed by any of this', async () => {
    const bob = world.trpc('bob').trpc;
    const listed = await bob.session.list.query();
    expect(listed.sessions.map(({ title }) => title)).toEqual(['Of Bob']);
    expect(listed.pagination.total).toBe(1);
    const alice = world.trpc('alice').trpc;
    const before = await alice.session.get.query({ sessionId: alices.sessionId });
    expect(before.session).toMatchObject({ title: 'Of Alice', status: 'streaming', messageCount: 4 });
    release();
    await expect
      .poll(async () => (await alice.session.get.query({ sessionId: alices.sessionId })).messages.at(-1), patience)
      .toMatchObject({ status: 'complete', content: 'Hello from the fake.' });
    expect(world.openai.calls).toHaveLength(3);
  });
});
