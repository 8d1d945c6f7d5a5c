import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { callOverHttp } from '../src/raw-http.ts';
import { openRawSocket, type RawSocket } from '../src/raw-socket.ts';
import { startWorld, type World } from '../src/world.ts';

/** Texts that are taken as they are. */
const texts: readonly (readonly [name: string, text: string])[] = [
  ['32,000 CJK characters', '漢字語文'.repeat(8_000)],
  ['32,000 emoji', '😀🚀🎉🦄'.repeat(8_000)],
  ['32,000 characters beyond the basic plane', '𠮷'.repeat(32_000)],
  ['one character', 'x'],
  ['whitespace alone', ' \t\n\u00a0\u2003\u3000'],
  ['right-to-left text with controls', 'שלום \u202eworld\u202c مرحبا \u200f!'],
  ['combining characters, decomposed and composed', 'e\u0301 \u00e9 n\u0303 Z\u0351\u036b\u0343'],
  ['joined emoji', '👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽'],
  ['line ends of all kinds', 'a\r\nb\nc\rd\u2028e\u2029f\u0085g'],
  ['control characters', '\u0001\u0007\u0008\u001b[31m\u007f\u009f'],
  ['what looks like markup or events', '</script>data: x\n\nevent: done\n{"json":1}&amp;%00\\u0000'],
  ['a byte order mark and noncharacters', '\ufefftext\ufffe\uffff\u{10ffff}'],
  ['the replacement character', 'a\ufffdb'],
];

/** Texts that are refused. */
const unstorable: readonly (readonly [name: string, text: string])[] = [
  ['U+0000', 'a\u0000b'],
  ['U+0000 alone', '\u0000'],
  ['a lone high surrogate', 'a\ud83d'],
  ['a lone low surrogate', '\ude00b'],
  ['surrogates the wrong way round', '\ude00\ud83d'],
];

const doors = ['http', 'websocket', 'sdk'] as const;

describeEachDatabase('text at its limits', (kind) => {
  let world: World;
  let token: string;
  let socket: RawSocket;
  let database: Awaited<ReturnType<World['openDatabase']>>;
  beforeAll(async () => {
    // Some characters take several tokens each.
    world = await startWorld({ kind, models: [{ id: 'vast-model', contextWindow: 1_000_000 }] });
    token = await world.token('writer');
    socket = await openRawSocket(world.url, { token });
    database = await world.openDatabase();
    // The model says what it was told, cut without regard to characters.
    world.openai.script('default', ({ lastUserMessage }) => {
      const middle = Math.ceil(lastUserMessage.length / 2);
      const cuts = [0, 1, middle, middle + 1, lastUserMessage.length];
      return { chunks: cuts.slice(1).map((end, index) => lastUserMessage.slice(cuts[index], end)) };
    });
  });
  afterAll(async () => {
    await socket[Symbol.asyncDispose]();
    await world[Symbol.asyncDispose]();
  });

  /** Calls over a door; resolves with the result or the refusal's data. */
  async function callOver(
    door: (typeof doors)[number],
    type: 'query' | 'mutation',
    path: string,
    input: object,
  ): Promise<Outcome> {
    if (door === 'http') {
      const { result, refusal } = await callOverHttp(world.url, { type, path, input, token });
      return { result, refusal };
    }
    if (door === 'websocket') {
      const { result, error } = await socket.call(type, path, input);
      return { result: result?.data?.json, refusal: error?.json.data };
    }
    const { sessions, messages } = world.client('writer');
    const calls: Record<string, (input: never) => Promise<unknown>> = {
      'session.create': sessions.create,
      'session.update': sessions.update,
      'session.get': sessions.get,
      'message.send': messages.send,
      'message.finalize': messages.finalize,
    };
    return (calls[path]?.(input as never) ?? Promise.reject(new Error(path))).then(
      (result) => ({ result, refusal: undefined }),
      ({ code, errors }: { code: string; errors: unknown }) => ({ result: undefined, refusal: { code, errors } }),
    );
  }
  interface Outcome {
    result: unknown;
    refusal: Record<string, unknown> | undefined;
  }
  interface Answer {
    sessionId: string;
    session: { title: string | null; systemPrompt: string | null; metadata: Record<string, string> };
    userMessage: { id: string; content: string };
    message: { id: string; content: string };
    matches: boolean;
  }
  async function answerOver(...args: Parameters<typeof callOver>): Promise<Answer> {
    const { result, refusal } = await callOver(...args);
    expect(refusal).toBeUndefined();
    return result as Answer;
  }

  async function storedContent(id: string): Promise<string | undefined> {
    const rows = await database.query.select().from(database.tables.messages);
    return rows.find((row) => row.id === id)?.content;
  }

  describe.each(doors)('over %s', (door) => {
    it.each(texts)('carries %s in a message, its answer and the way back', async (_, text) => {
      const { sessionId } = await answerOver(door, 'mutation', 'session.create', { modelId: 'vast-model' });
      const { userMessage, message } = await answerOver(door, 'mutation', 'message.send', { sessionId, message: text });
      expect(userMessage.content === text).toBe(true);
      expect(message.content === text).toBe(true);
      expect(world.openai.calls.at(-1)?.lastUserMessage === text).toBe(true);
      expect((await storedContent(userMessage.id)) === text).toBe(true);
      expect((await storedContent(message.id)) === text).toBe(true);
      const finalized = { sessionId, streamId: message.id, completeResponse: text };
      expect((await answerOver(door, 'mutation', 'message.finalize', finalized)).matches).toBe(true);
      // So that looking behind the service stays quick.
      await callOverHttp(world.url, { type: 'mutation', path: 'session.delete', input: { sessionId }, token });
    });

    it('carries texts in every other field', async () => {
      const long = (text: string, length: number) => Array.from(text.repeat(length)).slice(0, length).join('');
      for (const text of [
        '漢字',
        '😀',
        'e\u0301',
        '\r\n',
        ' ',
        '\u202e\u200f',
        '"\\',
        '\u0001',
        "'; drop table sessions; --",
      ]) {
        const fields = {
          title: long(text, 200),
          systemPrompt: long(text, 16_000),
          metadata: { [long(text, 64)]: long(text, 512), [text]: text, empty: '' },
          initialMessage: long(text, 1_000),
        };
        const created = await answerOver(door, 'mutation', 'session.create', fields);
        const { title, systemPrompt, metadata } = fields;
        expect(created.session).toMatchObject({ title, systemPrompt });
        expect(created.session.metadata).toEqual(metadata);
        const { sessionId } = created;
        const cleared = { sessionId, title: 'x', systemPrompt: null, metadata: null };
        await answerOver(door, 'mutation', 'session.update', cleared);
        const change = { sessionId, title, systemPrompt, metadata };
        expect((await answerOver(door, 'mutation', 'session.update', change)).session).toEqual({
          ...created.session,
          updatedAt: expect.any(String),
        });
        const read = (await callOver(door, 'query', 'session.get', { sessionId })).result as {
          session: Answer['session'];
          messages: { content: string }[];
        };
        expect(read.session).toMatchObject({ title, systemPrompt });
        expect(read.session.metadata).toEqual(metadata);
        expect(read.messages[0]?.content === fields.initialMessage).toBe(true);
      }
    });

    it('refuses one code point too many, and nothing at all', async () => {
      const { sessionId } = await answerOver(door, 'mutation', 'session.create', {});
      const refused: (readonly [string, string, object])[] = [];
      for (const character of ['x', '漢', '😀']) {
        refused.push(
          ['message.send', 'message', { sessionId, message: character.repeat(32_001) }],
          ['session.create', 'initialMessage', { initialMessage: character.repeat(32_001) }],
          ['session.create', 'title', { title: character.repeat(201) }],
          ['session.update', 'title', { sessionId, title: character.repeat(201) }],
          ['session.create', 'systemPrompt', { systemPrompt: character.repeat(16_001) }],
          ['session.create', 'metadata.key', { metadata: { key: character.repeat(513) } }],
          ['session.create', `metadata.${character.repeat(65)}`, { metadata: { [character.repeat(65)]: '' } }],
        );
      }
      refused.push(
        ['message.send', 'message', { sessionId, message: '' }],
        ['session.create', 'title', { title: '' }],
        ['session.create', 'metadata.', { metadata: { '': 'x' } }],
      );
      for (const [path, field, input] of refused) {
        const { refusal } = await callOver(door, 'mutation', path, input);
        expect(refusal).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path: field }] });
      }
    });

    it.each(unstorable)('refuses %s wherever it is', async (_, text) => {
      const { sessionId } = await answerOver(door, 'mutation', 'session.create', {});
      const calls = world.openai.calls.length;
      const refused = [
        ['message.send', 'message', { sessionId, message: text }],
        ['message.finalize', 'completeResponse', { sessionId, completeResponse: text }],
        ['session.create', 'initialMessage', { initialMessage: text }],
        ['session.create', 'title', { title: text }],
        ['session.update', 'title', { sessionId, title: text }],
        ['session.create', 'systemPrompt', { systemPrompt: text }],
        ['session.create', 'metadata.key', { metadata: { key: text } }],
        ['session.create', null, { metadata: { [text]: 'value' } }],
        ['session.create', null, { modelId: text }],
        ['session.create', 'source', { source: text }],
        ['session.create', 'idempotencyKey', { idempotencyKey: text }],
        ['session.get', 'sessionId', { sessionId: text }],
        ['session.create', null, { [text]: 'unknown field' }],
      ] as const;
      for (const [path, field, input] of refused) {
        const { refusal } = await callOver(door, path === 'session.get' ? 'query' : 'mutation', path, input);
        expect(refusal).toMatchObject({ code: 'BAD_REQUEST', ...(field !== null && { errors: [{ path: field }] }) });
      }
      expect(world.openai.calls).toHaveLength(calls);
      const read = (await callOver(door, 'query', 'session.get', { sessionId })).result;
      expect(read).toMatchObject({ messages: [], session: { title: null } });
    });
  });

  it('stores any name as a key of metadata, but for those that superjson does not carry', async () => {
    const names = ['toString', 'hasOwnProperty', 'length', '0', 'a.b', '$ref', 'json', 'meta', ' '];
    const metadata = Object.fromEntries(names.map((name) => [name, name]));
    for (const door of doors) {
      const { sessionId } = await answerOver(door, 'mutation', 'session.create', { metadata });
      const read = (await callOver(door, 'query', 'session.get', { sessionId })).result as Answer;
      expect(read.session.metadata).toEqual(metadata);
    }
    for (const name of ['constructor', 'prototype']) {
      const { refusal } = await callOver('http', 'mutation', 'session.create', { metadata: { [name]: 'x' } });
      expect(refusal).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path: `metadata.${name}` }] });
    }
  });

  it('refuses a body that is no UTF-8', async () => {
    const [before, after] = ['{"json":{"title":"', '"}}'].map((part) => Buffer.from(part));
    for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf0, 0x9f, 0x98]]) {
      const body = new Uint8Array([...(before ?? []), ...bytes, ...(after ?? [])]);
      const { status, refusal } = await callOverHttp(world.url, {
        type: 'mutation',
        path: 'session.create',
        body,
        token,
      });
      expect(status).toBe(400);
      expect(refusal).toMatchObject({ code: 'BAD_REQUEST' });
    }
  });

  it('puts U+FFFD for what a model sends and nobody can store, also torn over chunks', async () => {
    const { sessionId } = await answerOver('http', 'mutation', 'session.create', {});
    world.openai.script('Speak in tongues', {
      chunks: [
        'a\u0000b',
        '\ud83d',
        '\ude00',
        'c\ud83d',
        'd',
        '\ude00e',
        '\u0000',
        '\ud83d',
        '\ud83d\ude00',
        'f\ud83d',
      ],
    });
    const expected = 'a\ufffdb😀c\ufffdd\ufffde\ufffd\ufffd😀f\ufffd';
    const stream = world.client('writer').messages.stream({ sessionId, message: 'Speak in tongues' });
    let seen = '';
    for await (const event of stream) {
      if (event.type !== 'chunk') continue;
      expect(event.text.isWellFormed()).toBe(true);
      seen += event.text;
    }
    expect(seen).toBe(expected);
    const { id, content } = await stream.finalMessage();
    expect(content).toBe(expected);
    expect(await storedContent(id)).toBe(expected);
  });
});
