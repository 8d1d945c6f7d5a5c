import { describe, expect, it } from 'vitest';
import type { FakePlan } from '../../../../../apps/e2e/src/fake-openai.ts';
import { ProviderError } from '../../../src/clients/providers/provider.ts';
import { collect, createProviderWorld, modelAt, requestOf, signal } from './provider-world.ts';

const data = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`;
const text = (content: unknown, finish: string | null = null) =>
  data({ choices: [{ index: 0, delta: { content }, finish_reason: finish }] });
const stop = data({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });

async function run(plan: FakePlan) {
  const world = await createProviderWorld();
  world.fake.script('default', plan);
  return { ...world, outcome: await collect(world.provider.stream(requestOf('Hi'), signal())) };
}

describe('a call', () => {
  it('sends messages, parameters, limit and key, and yields text, usage and the end', async () => {
    const { provider, fake } = await createProviderWorld();
    fake.script('default', {
      chunks: ['One', ' two'],
      usage: {
        prompt_tokens: 9,
        completion_tokens: 4,
        prompt_tokens_details: { cached_tokens: 3 },
        completion_tokens_details: { reasoning_tokens: 2 },
      },
    });
    const messages = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Count.' },
    ] as const;
    const request = requestOf('', {
      messages,
      parameters: { temperature: 0.5, topP: 0.9, maxTokens: 7 },
      maxTokens: 5,
    });
    const { events, error } = await collect(provider.stream(request, signal()));
    expect(error).toBeNull();
    expect(events).toEqual([
      { type: 'text', text: 'One' },
      { type: 'text', text: ' two' },
      { type: 'usage', usage: { inputTokens: 9, outputTokens: 4, cachedInputTokens: 3, reasoningTokens: 2 } },
      { type: 'finish', reason: 'stop' },
    ]);
    const [call] = fake.calls;
    expect(call?.body).toEqual({
      model: 'fake-1',
      messages,
      stream: true,
      stream_options: { include_usage: true },
      temperature: 0.5,
      top_p: 0.9,
      max_tokens: 5,
    });
    expect(call?.headers['authorization']).toBe('Bearer sk-secret');
    expect(call?.headers['x-client-request-id']).toBe(request.generationId);
    await call?.ended;
    expect(call?.state).toBe('finished');
  });

  it.each([
    ['stop', 'stop'],
    ['length', 'length'],
    ['content_filter', 'content_filter'],
    ['tool_calls', 'stop'],
    ['function_call', 'stop'],
    ['eos', 'stop'],
  ] as const)('maps the finish reason %s to %s', async (finishReason, reason) => {
    const { outcome } = await run({ finishReason });
    expect(outcome.events.at(-1)).toEqual({ type: 'finish', reason });
  });

  it.each([
    ['none', null],
    ['negative figures', { prompt_tokens: -1, completion_tokens: 4 }],
    ['a fraction', { prompt_tokens: 1.5, completion_tokens: 4 }],
    ['words', { prompt_tokens: '9', completion_tokens: 4 }],
    ['more than can be', { prompt_tokens: 9, completion_tokens: 2 ** 32 - 1 }],
    ['half of it', { prompt_tokens: 9 }],
  ])('tells no usage where the provider tells %s', async (_name, usage) => {
    const { outcome } = await run({ usage });
    expect(outcome.events.map(({ type }) => type)).toEqual(['text', 'text', 'text', 'text', 'finish']);
  });

  it('takes the last of several usage figures', async () => {
    const usage = (count: number) => data({ choices: [], usage: { prompt_tokens: 1, completion_tokens: count } });
    const { outcome } = await run({ raw: [text('a'), usage(1), text('b'), usage(2), stop] });
    expect(outcome.events.filter(({ type }) => type === 'usage')).toEqual([
      { type: 'usage', usage: { inputTokens: 1, outputTokens: 2, cachedInputTokens: 0, reasoningTokens: 0 } },
    ]);
  });

  it('accepts a whole JSON answer from a server that does not stream', async () => {
    const { outcome } = await run({ json: true, chunks: ['All at', ' once'] });
    expect(outcome.error).toBeNull();
    expect(outcome.texts).toEqual(['All at once']);
    expect(outcome.events.map(({ type }) => type)).toEqual(['text', 'usage', 'finish']);
  });

  it('yields a refusal as the answer', async () => {
    const refusal = data({ choices: [{ index: 0, delta: { refusal: 'I will not.' }, finish_reason: 'stop' }] });
    expect((await run({ raw: [refusal] })).outcome).toMatchObject({ text: 'I will not.', error: null });
  });
});

describe('framing', () => {
  const chunks = ['Grüße ', '漢字 ', '👩‍👩‍👧 ', 'line\nbreak', 'data: forged\n\n'];

  it.each(['lf', 'crlf', 'bytes'] as const)('reads %s', async (framing) => {
    const { outcome } = await run({ framing, chunks });
    expect(outcome.error).toBeNull();
    expect(outcome.texts).toEqual(chunks);
  });

  it('reads comments, other fields, data over several lines and an end without its empty line', async () => {
    const raw = [
      ': hello\n\nevent: message\nid: 7\nretry: 10\n',
      'data: {"choices":[{"index":0,\ndata: "delta":{"content":"a"}}]}\n\n',
      stop.trimEnd(),
    ];
    expect((await run({ raw })).outcome).toMatchObject({ text: 'a', error: null });
  });

  it('joins halves of a surrogate pair and replaces what cannot be stored', async () => {
    const lone = (unit: string) => `data: {"choices":[{"index":0,"delta":{"content":"${unit}"}}]}\n\n`;
    const raw = [lone('a\\ud83d'), lone('\\ude00b'), lone('\\u0000'), lone('\\ude00'), lone('c\\ud83d'), stop];
    const { outcome } = await run({ raw });
    expect(outcome.texts).toEqual(['a', '😀b', '\uFFFD', '\uFFFD', 'c', '\uFFFD']);
  });

  it('fails on an event of more than 4 MiB', async () => {
    const raw = [text('begin'), 'data: ', ...Array.from({ length: 6 }, () => 'x'.repeat(1024 * 1024)), '\n\n', stop];
    const { outcome } = await run({ raw });
    expect(outcome.text).toBe('begin');
    expect(outcome.error).toMatchObject({ code: 'MODEL_ERROR', message: expect.stringContaining('too long') });
  });
});

describe('a stream that goes wrong', () => {
  it.each<[string, FakePlan]>([
    ['ends without a finish reason', { finishReason: null }],
    ['ends in the middle', { fault: { at: 2, kind: 'end' } }],
    ['is reset', { fault: { at: 2, kind: 'reset' } }],
    ['tells an error', { fault: { at: 2, kind: 'error' } }],
    ['is not JSON', { raw: [text('Hello'), text(' from'), 'data: {"choices\n\n', stop] }],
    ['says it is done too early', { raw: [text('Hello'), text(' from'), 'data: [DONE]\n\n'] }],
    ['is cut in the middle of its last event', { raw: [text('Hello'), text(' from'), stop.slice(0, -12)] }],
  ])('that %s: what was produced, then MODEL_ERROR, and no second call', async (_name, plan) => {
    const { outcome, fake } = await run(plan);
    expect(outcome.error).toBeInstanceOf(ProviderError);
    expect(outcome.error).toMatchObject({ code: 'MODEL_ERROR' });
    expect(outcome.text).toMatch(/^Hello from( the fake\.)?$/);
    expect(outcome.events.every(({ type }) => type === 'text')).toBe(true);
    expect(fake.calls).toHaveLength(1);
  });

  it('keeps an answer whose connection breaks after the finish reason', async () => {
    const bytes = new TextEncoder().encode(text('whole') + stop);
    const { provider } = await createProviderWorld({
      fetch: () => {
        let pulls = 0;
        const body = new ReadableStream({
          pull(controller) {
            pulls += 1;
            if (pulls === 1) controller.enqueue(bytes);
            else controller.error(new TypeError('terminated'));
          },
        });
        return Promise.resolve(new Response(body, { headers: { 'content-type': 'text/event-stream' } }));
      },
    });
    const outcome = await collect(provider.stream(requestOf('Hi'), signal()));
    expect(outcome).toMatchObject({ text: 'whole', error: null });
  });

  it('does not call again after a token of reasoning', async () => {
    const { outcome, fake } = await run({ reasoning: ['hm'], fault: { at: 0, kind: 'reset' } });
    expect(outcome.error).toMatchObject({ code: 'MODEL_ERROR' });
    expect(fake.calls).toHaveLength(1);
  });
});

describe('keys and addresses', () => {
  it('is unavailable without a key: users are told so, the operator which variable is missing', async () => {
    const { provider, fake } = await createProviderWorld({ apiKey: undefined });
    for (const [apiKeyEnv, variable] of [
      [undefined, 'OPENAI_API_KEY'],
      ['OTHER_KEY', 'OTHER_KEY'],
    ] as const) {
      const model = modelAt({ apiKeyEnv });
      expect(provider.missingVariable(model)).toBe(variable);
      expect(provider.unavailableReason(model)).toMatch(
        /^This model is not configured on this server: choose another/u,
      );
      expect(provider.unavailableReason(model)).not.toContain('_KEY');
    }
    const { error } = await collect(provider.stream(requestOf('Hi'), signal()));
    expect(error).toMatchObject({ code: 'MODEL_UNAVAILABLE', message: 'OPENAI_API_KEY is not set' });
    expect(fake.calls).toHaveLength(0);
  });

  it("sends a model's own key to its own server, and never the provider's", async () => {
    const { provider, fake } = await createProviderWorld({
      baseUrl: 'http://127.0.0.1:9/v1',
      lookUp: (name) => (name === 'OTHER_KEY' ? ' other-secret\n' : undefined),
    });
    for (const apiKeyEnv of ['OTHER_KEY', undefined]) {
      const model = modelAt({ baseUrl: `${fake.baseUrl}/`, apiKeyEnv });
      expect([provider.unavailableReason(model), provider.missingVariable(model)]).toEqual([null, null]);
      expect(await collect(provider.stream(requestOf('Hi', { model }), signal()))).toMatchObject({ error: null });
    }
    expect(fake.calls.map(({ headers }) => headers['authorization'])).toEqual(['Bearer other-secret', undefined]);
  });

  it("asks OpenAI's own host for max_completion_tokens", async () => {
    let sent: unknown;
    const { provider } = await createProviderWorld({
      baseUrl: undefined,
      fetch: (url, init) => {
        sent = { url, body: JSON.parse(init?.body as string) as unknown };
        return Promise.resolve(Response.json({ choices: [{ message: { content: 'a' }, finish_reason: 'stop' }] }));
      },
    });
    await collect(provider.stream(requestOf('Hi'), signal()));
    expect(sent).toMatchObject({
      url: 'https://api.openai.com/v1/chat/completions',
      body: { max_completion_tokens: 100 },
    });
    expect(sent).not.toHaveProperty('body.max_tokens');
  });

  it('leaves out what the model refuses, and remembers it', async () => {
    const { provider, fake } = await createProviderWorld();
    const refuse = (param: string): FakePlan => ({
      status: 400,
      errorBody: { error: { message: 'no', type: 'invalid_request_error', code: 'unsupported_parameter', param } },
    });
    fake.script('default', ({ body }) => {
      if (body['temperature'] !== undefined) return refuse('temperature');
      return body['max_tokens'] === undefined ? {} : refuse('max_tokens');
    });
    const request = requestOf('Hi', { parameters: { temperature: 0.1 } });
    expect(await collect(provider.stream(request, signal()))).toMatchObject({
      error: null,
      text: 'Hello from the fake.',
    });
    expect(fake.calls).toHaveLength(3);
    expect(fake.calls[2]?.body).toMatchObject({ max_completion_tokens: 100 });
    await collect(provider.stream(request, signal()));
    expect(fake.calls).toHaveLength(4);
  });

  it('does not follow a redirect', async () => {
    const { outcome, fake } = await run({ status: 307, headers: { location: '/v1/elsewhere/chat/completions' } });
    expect(outcome.error).toMatchObject({ code: 'MODEL_ERROR' });
    expect(fake.calls).toHaveLength(1);
  });

  it('writes no prompt, answer or key into logs and errors', async () => {
    const { provider, fake, log, clock } = await createProviderWorld();
    const prompt = 'my secret prompt';
    const echo = { error: { message: `bad: ${prompt} sk-secret`, type: prompt, code: 'server_error' } };
    fake.script('default', { status: 500, errorBody: echo, times: 1 });
    const first = collect(provider.stream(requestOf(prompt), signal()));
    await log.logged('made again');
    fake.script('default', { chunks: ['the answer'], fault: { at: 1, kind: 'error' } });
    await clock.advance(1_000);
    const broken = await collect(provider.stream(requestOf(prompt), signal()));
    fake.script('default', { raw: [text('the answer'), 'data: the answer\n\n'] });
    const errors = [
      (await first).error,
      broken.error,
      (await collect(provider.stream(requestOf(prompt), signal()))).error,
    ];
    const written = [...log.lines, ...errors.map((error) => String((error as Error).stack))].join('\n');
    expect(errors.every((error) => error instanceof ProviderError)).toBe(true);
    expect(written).not.toMatch(/my secret prompt|the answer|sk-secret/);
    expect(log.lines.join('')).toContain('status 500: server_error');
  });
});

describe('many at once', () => {
  it('keeps 300 streams apart', async () => {
    const { provider, fake } = await createProviderWorld();
    fake.script(/./, ({ lastUserMessage }) => ({
      chunks: Array.from({ length: 20 }, (_, k) => `${lastUserMessage}.${k} `),
    }));
    const outcomes = await Promise.all(
      Array.from({ length: 300 }, (_, k) => collect(provider.stream(requestOf(`m${k}`), signal()))),
    );
    for (const [k, { text: whole, error }] of outcomes.entries()) {
      expect(error).toBeNull();
      expect(whole).toBe(Array.from({ length: 20 }, (_, n) => `m${k}.${n} `).join(''));
    }
  });
});
