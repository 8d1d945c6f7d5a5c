import { describe, expect, it } from 'vitest';
import { createDemoProvider } from '../../../src/clients/providers/demo/demo-provider.ts';
import type { PromptMessage } from '../../../src/clients/providers/provider.ts';
import { createManualClock } from '../../platform/manual-clock.ts';
import { collect, requestOf, signal } from './provider-world.ts';

const fast = () => createDemoProvider({ clock: createManualClock(), tokensPerSecond: Infinity });
const ask = (message: string, maxTokens = 10_000) =>
  collect(fast().stream(requestOf(message, { maxTokens }), signal()));
const usageOf = ({ events }: Awaited<ReturnType<typeof ask>>) => events.find(({ type }) => type === 'usage');

describe('the demo model', () => {
  it('says what it is, answers to what was written, and always the same', async () => {
    const first = await ask('Where is the “harbour” 👩‍👩‍👧?');
    expect(first.text).toMatch(/demo model/i);
    expect(first.text).toContain('Where is the “harbour” 👩‍👩‍👧?');
    expect(first.events.at(-1)).toEqual({ type: 'finish', reason: 'stop' });
    expect(usageOf(first)).toMatchObject({ usage: { inputTokens: 5, outputTokens: first.texts.length } });
    expect(await ask('Where is the “harbour” 👩‍👩‍👧?')).toEqual(first);
    expect(fast().unavailableReason(requestOf('').model)).toBeNull();
    expect(fast().missingVariable(requestOf('').model)).toBeNull();
  });

  it('counts the messages that it was sent', async () => {
    const messages: PromptMessage[] = [
      { role: 'user', content: 'one' },
      { role: 'assistant', content: 'two' },
      { role: 'user', content: 'three' },
    ];
    const { text } = await collect(fast().stream(requestOf('', { messages, maxTokens: 500 }), signal()));
    expect(text).toContain('message 2');
  });

  it('writes about 2,000 words for /long', async () => {
    const { text } = await ask('/long please');
    const words = text.split(/\s+/).length;
    expect(words).toBeGreaterThanOrEqual(2_000);
    expect(words).toBeLessThan(2_100);
  });

  it.each(['/error', '/error at once', 'before\n\n/error'])('fails before the first token for %j', async (message) => {
    expect(await ask(message)).toMatchObject({ text: '', error: { code: 'MODEL_ERROR' } });
  });

  it('fails after some text for /error mid', async () => {
    const { texts, error, events } = await ask('/error mid');
    expect(texts.length).toBeGreaterThan(5);
    expect(events.every(({ type }) => type === 'text')).toBe(true);
    expect(error).toMatchObject({ code: 'MODEL_ERROR' });
  });

  it('recovers when the next message is joined to one that failed', async () => {
    expect(await ask('/error\n\nHow are you?')).toMatchObject({ error: null });
    expect((await ask('/error\n\n/long')).texts.length).toBeGreaterThan(1_000);
  });

  it.each(['/longer', 'say /long', '/Error'])('takes %j for ordinary text', async (message) => {
    const { text, texts, error } = await ask(message);
    expect(error).toBeNull();
    expect(text).toContain(message);
    expect(texts.length).toBeLessThan(200);
  });

  it('ends with length at its limit', async () => {
    const outcome = await ask('/long', 7);
    expect(outcome.texts).toHaveLength(7);
    expect(outcome.events.at(-1)).toEqual({ type: 'finish', reason: 'length' });
    expect(usageOf(outcome)).toMatchObject({ usage: { outputTokens: 7 } });
    expect((await ask('/error mid', 3)).events.at(-1)).toEqual({ type: 'finish', reason: 'length' });
  });

  it.each([
    ['hello', 30],
    ['/slow', 1],
  ])('sends %j at %i words a second', async (message, perSecond) => {
    const clock = createManualClock();
    const stop = new AbortController();
    const seen: string[] = [];
    const reading = (async () => {
      for await (const event of createDemoProvider({ clock }).stream(requestOf(message), stop.signal))
        seen.push(event.type);
    })();
    await clock.advance(999);
    expect(seen).toHaveLength(perSecond - 1);
    await clock.advance(2);
    expect(seen).toHaveLength(perSecond);
    const reason = new Error('stopped');
    stop.abort(reason);
    await expect(reading).rejects.toBe(reason);
  });

  it('can be stopped at an unlimited pace, too', async () => {
    const stop = new AbortController();
    const reason = new Error('stopped');
    setImmediate(() => stop.abort(reason));
    const { error, texts } = await collect(fast().stream(requestOf('/long', { maxTokens: 5_000 }), stop.signal));
    expect(error).toBe(reason);
    expect(texts.length).toBeLessThan(100);
  });
});
