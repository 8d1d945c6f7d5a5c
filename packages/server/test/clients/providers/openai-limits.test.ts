import { describe, expect, it } from 'vitest';
import type { FakePlan } from '../../../../../apps/e2e/src/fake-openai.ts';
import { collect, createProviderWorld, modelAt, requestOf, signal } from './provider-world.ts';

const textEvent = (content: string) => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`;

/** A provider whose upstream is this stream, written by hand. */
async function createPipedWorld() {
  const pipe = new TransformStream<Uint8Array, Uint8Array>(undefined, { highWaterMark: 100 }, { highWaterMark: 100 });
  const writer = pipe.writable.getWriter();
  const world = await createProviderWorld({
    fetch: (_url, init) => {
      init?.signal?.addEventListener('abort', () => void writer.abort(init.signal?.reason).catch(() => undefined));
      return Promise.resolve(new Response(pipe.readable, { headers: { 'content-type': 'text/event-stream' } }));
    },
  });
  return { ...world, write: (text: string) => writer.write(new TextEncoder().encode(text)) };
}

describe('time limits', () => {
  it('gives up on a first token that does not come', async () => {
    const { provider, fake, clock } = await createProviderWorld();
    fake.script('default', { fault: { at: 0, kind: 'stall' } });
    const outcome = collect(provider.stream(requestOf('Hi'), signal()));
    const call = await fake.call(0);
    await call.reached(0);
    await clock.advance(59_999);
    expect(call.state).toBe('running');
    await clock.advance(1);
    expect((await outcome).error).toMatchObject({
      code: 'MODEL_TIMEOUT',
      message: expect.stringContaining('firstToken'),
    });
    await call.ended;
    expect(call.state).toBe('cancelled');
    expect(fake.calls).toHaveLength(1);
  });

  it('gives up on headers that do not come', async () => {
    const { provider, fake, clock } = await createProviderWorld();
    fake.script('default', { fault: { at: -1, kind: 'stall' } });
    const outcome = collect(provider.stream(requestOf('Hi'), signal()));
    const call = await fake.call(0);
    await clock.advance(60_000);
    expect((await outcome).error).toMatchObject({ code: 'MODEL_TIMEOUT' });
    await call.ended;
    expect(call.state).toBe('cancelled');
  });

  it('gives up on a silence between two events, which comments do not break and other events do', async () => {
    const { provider, clock, write } = await createPipedWorld();
    const stream = provider.stream(requestOf('Hi'), signal())[Symbol.asyncIterator]();
    const first = stream.next();
    await write(textEvent('a'));
    expect((await first).value).toEqual({ type: 'text', text: 'a' });
    const second = stream.next();
    for (let k = 0; k < 3; k += 1) {
      await clock.advance(40_000);
      await write('data: {"choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n');
    }
    await clock.advance(40_000);
    await write(': still here\n\n');
    const failure = expect(second).rejects.toMatchObject({
      code: 'MODEL_TIMEOUT',
      message: expect.stringContaining('idle'),
    });
    await clock.advance(19_999);
    await clock.advance(1);
    await failure;
  });

  it('starts with the first token: reasoning counts as one, a role does not', async () => {
    const { provider, clock, write } = await createPipedWorld();
    const outcome = collect(provider.stream(requestOf('Hi'), signal()));
    await write('data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n');
    await clock.advance(50_000);
    await write('data: {"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}\n\n');
    await clock.advance(50_000);
    await write(textEvent('a'));
    await write('data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n');
    await clock.advance(1_000);
    expect(await outcome).toMatchObject({ text: 'a', error: null });
  });

  it('ends an answer that goes on and on after the total', async () => {
    const { provider, clock, write } = await createPipedWorld();
    const outcome = collect(provider.stream(requestOf('Hi'), signal()));
    for (let k = 0; k < 19; k += 1) {
      await write(textEvent('a'));
      await clock.advance(30_000);
    }
    await write(textEvent('a'));
    await clock.advance(29_999);
    await clock.advance(1);
    const { error, texts } = await outcome;
    expect(error).toMatchObject({ code: 'MODEL_TIMEOUT', message: expect.stringContaining('total') });
    expect(texts).toHaveLength(20);
  });

  it("does not count a slow reader's time as the provider's silence", async () => {
    const { provider, clock, write } = await createPipedWorld();
    const stream = provider.stream(requestOf('Hi'), signal())[Symbol.asyncIterator]();
    const first = stream.next();
    await write(textEvent('a'));
    await first;
    await clock.advance(120_000);
    await write(textEvent('b'));
    expect((await stream.next()).value).toEqual({ type: 'text', text: 'b' });
    await stream.return?.();
  });

  it('waits only a moment for the end of a response that is complete', async () => {
    const { provider, clock, write } = await createPipedWorld();
    const outcome = collect(provider.stream(requestOf('Hi'), signal()));
    await write(textEvent('a'));
    await write('data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n');
    await clock.advance(5_000);
    expect(await outcome).toMatchObject({ text: 'a', error: null });
  });
});

describe('retries before the first token', () => {
  it.each<[string, FakePlan]>([
    ['408', { status: 408 }],
    ['429', { status: 429 }],
    ['500', { status: 500 }],
    ['503', { status: 503 }],
    ['a refused connection', { fault: { at: -1, kind: 'reset' } }],
    ['a reset before the first token', { fault: { at: 0, kind: 'reset' } }],
  ])('are made after %s', async (_name, plan) => {
    const { provider, fake, clock, log } = await createProviderWorld();
    fake.script('default', {});
    fake.script('default', { ...plan, times: 2 });
    const outcome = collect(provider.stream(requestOf('Hi'), signal()));
    await log.logged('made again', 1);
    await clock.advance(500);
    await log.logged('made again', 2);
    await clock.advance(1_000);
    expect(await outcome).toMatchObject({ text: 'Hello from the fake.', error: null });
    expect(fake.calls).toHaveLength(3);
  });

  it('end after the second', async () => {
    const { provider, fake, clock, log } = await createProviderWorld();
    fake.script('default', { status: 502 });
    const outcome = collect(provider.stream(requestOf('Hi'), signal()));
    await log.logged('made again', 1);
    await clock.advance(500);
    await log.logged('made again', 2);
    await clock.advance(1_000);
    expect((await outcome).error).toMatchObject({ code: 'MODEL_ERROR' });
    expect(fake.calls).toHaveLength(3);
  });

  it.each([400, 401, 403, 404, 409, 413, 422])('are not made after %i', async (status) => {
    const { provider, fake } = await createProviderWorld();
    fake.script('default', { status });
    expect((await collect(provider.stream(requestOf('Hi'), signal()))).error).toMatchObject({ code: 'MODEL_ERROR' });
    expect(fake.calls).toHaveLength(1);
  });

  it.each<[string, (now: number) => string]>([
    ['seconds', () => '7'],
    ['a date', (now) => new Date(now + 7_000).toUTCString()],
  ])('honour Retry-After in %s', async (_name, header) => {
    const { provider, fake, clock, log } = await createProviderWorld();
    fake.script('default', {});
    fake.script('default', { status: 429, headers: { 'retry-after': header(clock.now()) }, times: 1 });
    const outcome = collect(provider.stream(requestOf('Hi'), signal()));
    await log.logged('made again');
    await clock.advance(6_999);
    expect(fake.calls).toHaveLength(1);
    await clock.advance(1);
    expect(await outcome).toMatchObject({ error: null });
  });

  it('are left out when the provider asks for more patience than there is', async () => {
    const { provider, fake } = await createProviderWorld();
    fake.script('default', { status: 429, headers: { 'retry-after': '21' } });
    expect((await collect(provider.stream(requestOf('Hi'), signal()))).error).toMatchObject({ code: 'MODEL_ERROR' });
    const impatient = modelAt({ timeouts: { firstToken: 5_000, idle: 1, total: 10_000 } });
    fake.script('default', { status: 429, headers: { 'retry-after': '6' } });
    const { error } = await collect(provider.stream(requestOf('Hi', { model: impatient }), signal()));
    expect(error).toMatchObject({ code: 'MODEL_ERROR' });
    expect(fake.calls).toHaveLength(2);
  });
});

describe('a stop', () => {
  const reason = new Error('the user stopped it');

  it.each<[string, FakePlan]>([
    ['before the headers', { fault: { at: -1, kind: 'stall' } }],
    ['before the first token', { fault: { at: 0, kind: 'stall' } }],
    ['in the middle', { fault: { at: 2, kind: 'stall' } }],
  ])('%s cancels upstream and throws its reason', async (_name, plan) => {
    const { provider, fake } = await createProviderWorld();
    fake.script('default', plan);
    const stop = new AbortController();
    const outcome = collect(provider.stream(requestOf('Hi'), stop.signal));
    const call = await fake.call(0);
    if (plan.fault?.at !== -1) await call.reached(plan.fault?.at ?? 0);
    stop.abort(reason);
    const { error, events } = await outcome;
    expect(error).toBe(reason);
    expect(events.every(({ type }) => type === 'text')).toBe(true);
    await call.ended;
    expect(call.state).toBe('cancelled');
  });

  it('cancels upstream also while nobody reads, and nothing more is delivered', async () => {
    const { provider, fake } = await createProviderWorld();
    fake.script('default', { hold: [1] });
    const stop = new AbortController();
    const stream = provider.stream(requestOf('Hi'), stop.signal)[Symbol.asyncIterator]();
    expect((await stream.next()).value).toEqual({ type: 'text', text: 'Hello' });
    const call = await fake.call(0);
    stop.abort(reason);
    await call.ended;
    expect(call.state).toBe('cancelled');
    await expect(stream.next()).rejects.toBe(reason);
  });

  it('during the pause before a retry makes no further call', async () => {
    const { provider, fake, log } = await createProviderWorld();
    fake.script('default', { status: 500 });
    const stop = new AbortController();
    const outcome = collect(provider.stream(requestOf('Hi'), stop.signal));
    await log.logged('made again');
    stop.abort(reason);
    expect((await outcome).error).toBe(reason);
    expect(fake.calls).toHaveLength(1);
  });

  it('before the beginning makes no call', async () => {
    const { provider, fake } = await createProviderWorld();
    expect((await collect(provider.stream(requestOf('Hi'), AbortSignal.abort(reason)))).error).toBe(reason);
    expect(fake.calls).toHaveLength(0);
  });

  it('is what leaving the loop does, too', async () => {
    const { provider, fake } = await createProviderWorld();
    fake.script('default', { hold: [1] });
    for await (const event of provider.stream(requestOf('Hi'), signal())) {
      expect(event.type).toBe('text');
      break;
    }
    const call = await fake.call(0);
    await call.ended;
    expect(call.state).toBe('cancelled');
  });
});

describe('the circuit', () => {
  async function createFailedWorld() {
    const world = await createProviderWorld();
    world.fake.script('default', { status: 401 });
    const ask = () => collect(world.provider.stream(requestOf('Hi'), signal()));
    for (let k = 0; k < 5; k += 1) {
      expect(world.provider.unavailableReason(modelAt({}))).toBeNull();
      await ask();
    }
    return { ...world, ask };
  }

  it('opens after five failed calls in a row, for this model only', async () => {
    const { provider, fake, ask } = await createFailedWorld();
    expect(provider.unavailableReason(modelAt({}))).toContain('failed several times');
    expect(provider.unavailableReason(modelAt({ providerModel: 'fake-2' }))).toBeNull();
    expect((await ask()).error).toMatchObject({ code: 'MODEL_UNAVAILABLE' });
    expect(fake.calls).toHaveLength(5);
  });

  it('lets one call try after 30 seconds, and closes when it gets a token', async () => {
    const { provider, fake, clock, ask } = await createFailedWorld();
    await clock.advance(29_999);
    expect((await ask()).error).toMatchObject({ code: 'MODEL_UNAVAILABLE' });
    await clock.advance(1);
    expect(provider.unavailableReason(modelAt({}))).toBeNull();
    fake.script('default', { hold: [0] });
    const trial = ask();
    const call = await fake.call(5);
    await call.reached(0);
    expect((await ask()).error).toMatchObject({ code: 'MODEL_UNAVAILABLE' });
    fake.script('default', {});
    call.release();
    expect(await trial).toMatchObject({ error: null });
    expect(await ask()).toMatchObject({ error: null });
    expect(provider.unavailableReason(modelAt({}))).toBeNull();
  });

  it('opens again when the trial fails', async () => {
    const { provider, clock, ask } = await createFailedWorld();
    await clock.advance(30_000);
    expect((await ask()).error).toMatchObject({ code: 'MODEL_ERROR' });
    expect(provider.unavailableReason(modelAt({}))).not.toBeNull();
  });

  it('is not opened by requests that are themselves at fault, nor by stops', async () => {
    const { provider, fake } = await createProviderWorld();
    fake.script('default', { status: 400 });
    for (let k = 0; k < 6; k += 1) await collect(provider.stream(requestOf('Hi'), signal()));
    fake.script('default', { fault: { at: 0, kind: 'stall' } });
    for (let k = 0; k < 6; k += 1) {
      const stop = new AbortController();
      const outcome = collect(provider.stream(requestOf('Hi'), stop.signal));
      await (await fake.call(6 + k)).reached(0);
      stop.abort(new Error('stopped'));
      await outcome;
    }
    expect(fake.calls).toHaveLength(12);
    expect(provider.unavailableReason(modelAt({}))).toBeNull();
  });

  it('is closed by a success in between', async () => {
    const { provider, fake } = await createProviderWorld();
    for (let round = 0; round < 2; round += 1) {
      fake.script('default', { status: 401 });
      for (let k = 0; k < 4; k += 1) await collect(provider.stream(requestOf('Hi'), signal()));
      fake.script('default', {});
      await collect(provider.stream(requestOf('Hi'), signal()));
    }
    expect(provider.unavailableReason(modelAt({}))).toBeNull();
    expect(fake.calls).toHaveLength(10);
  });
});
