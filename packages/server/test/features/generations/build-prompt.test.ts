import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildPrompt, type HistoryMessage, type PromptInput } from '../../../src/features/generations/build-prompt.ts';
import { seed } from '../../../../shared/test/support/seed.ts';

const user = (content: string): HistoryMessage => ({ role: 'user', content, status: 'complete' });
const assistant = (content: string, status: HistoryMessage['status'] = 'complete'): HistoryMessage => ({
  role: 'assistant',
  content,
  status,
});
/** A token a character: easy to do by hand. 4 more a message, 3 more in all. */
const countTokens = (text: string) => text.length;

function build(history: HistoryMessage[], changes: Partial<PromptInput> = {}) {
  return buildPrompt({ systemPrompt: null, history, contextWindow: 1_000, maxOutput: 100, countTokens, ...changes });
}

const shown = (prompt: ReturnType<typeof build>) =>
  prompt.tooLong ? null : prompt.messages.map(({ role, content }) => `${role[0]}:${content}`);

describe('what the model is sent', () => {
  it('is the system prompt and the turns', () => {
    const prompt = build([user('a'), assistant('b'), user('c')], { systemPrompt: 'S' });
    expect(shown(prompt)).toEqual(['s:S', 'u:a', 'a:b', 'u:c']);
    expect(prompt).toMatchObject({ tooLong: false, promptTokens: 3 + 4 * 5, maxTokens: 100 });
  });

  it('joins neighbours of one role by a blank line', () => {
    const history = [user('a'), user('b'), assistant('c'), assistant('d'), user('e'), user('f')];
    expect(shown(build(history))).toEqual(['u:a\n\nb', 'a:c\n\nd', 'u:e\n\nf']);
  });

  it.each(['failed', 'streaming'] as const)('leaves %s answers out', (status) => {
    expect(shown(build([user('a'), assistant('half', status), user('b')]))).toEqual(['u:a\n\nb']);
  });

  it.each(['stopped', 'interrupted'] as const)(
    'keeps a %s answer that has text, and leaves empty messages out',
    (status) => {
      const history = [user('a'), assistant('half', status), user('b'), assistant('', status), user('c')];
      expect(shown(build(history))).toEqual(['u:a', 'a:half', 'u:b\n\nc']);
    },
  );

  it('leaves out answers before the first question and after the last', () => {
    expect(shown(build([assistant('x'), assistant('y'), user('a'), assistant('z')]))).toEqual(['u:a']);
  });

  it('has no system message for an empty system prompt', () => {
    expect(shown(build([user('a')], { systemPrompt: '' }))).toEqual(['u:a']);
  });

  it('drops the oldest turns, question and answer together, and leaves the answer its share', () => {
    const history = [user('aaaaa'), assistant('bbbbb'), user('ccccc'), assistant('ddddd'), user('eeeee')];
    // 3 + 9 a message: with all five 48, with three 30, and a quarter of the window for the answer.
    expect(shown(build(history, { contextWindow: 63 }))).toHaveLength(5);
    expect(shown(build(history, { contextWindow: 62 }))).toEqual(['u:ccccc', 'a:ddddd', 'u:eeeee']);
    expect(shown(build(history, { contextWindow: 58, maxOutput: 10 }))).toHaveLength(5);
    expect(shown(build(history, { contextWindow: 39 }))).toEqual(['u:ccccc', 'a:ddddd', 'u:eeeee']);
    expect(shown(build(history, { contextWindow: 38 }))).toEqual(['u:eeeee']);
  });

  it('never drops the system prompt or the last turn: it is too long by one token, or leaves one', () => {
    const history = [user('old'), assistant('old'), user('12345')];
    expect(build(history, { systemPrompt: 'S', contextWindow: 18 })).toMatchObject({
      tooLong: false,
      messages: [
        { role: 'system', content: 'S' },
        { role: 'user', content: '12345' },
      ],
      promptTokens: 17,
      maxTokens: 1,
    });
    expect(build(history, { systemPrompt: 'S', contextWindow: 17 })).toEqual({ tooLong: true, promptTokens: 17 });
  });

  it('needs a user message', () => {
    expect(() => build([assistant('a')])).toThrow(TypeError);
  });

  it('does not count turns that cannot fit any more', () => {
    let counted = 0;
    const history = Array.from({ length: 201 }, (_, k) =>
      k % 2 === 0 ? user('q'.repeat(50)) : assistant('a'.repeat(50)),
    );
    build(history, {
      countTokens: (text) => {
        counted += 1;
        return text.length;
      },
    });
    expect(counted).toBeLessThan(20);
  });
});

describe('for any history', () => {
  const message = fc.record({
    role: fc.constantFrom('user' as const, 'assistant' as const),
    content: fc.string({ maxLength: 12 }),
    status: fc.constantFrom('complete' as const, 'stopped' as const, 'failed' as const, 'interrupted' as const),
  });
  const input = fc.record({
    systemPrompt: fc.option(fc.string({ maxLength: 20 })),
    history: fc
      .array(message, { maxLength: 20 })
      .chain((history) => fc.string({ minLength: 1, maxLength: 12 }).map((content) => [...history, user(content)])),
    contextWindow: fc.integer({ min: 1, max: 300 }),
    maxOutput: fc.integer({ min: 1, max: 200 }),
  });

  it('the prompt fits, alternates, ends with the last turn, and is a suffix of the whole conversation', () => {
    fc.assert(
      fc.property(input, (given) => {
        const prompt = buildPrompt({ ...given, countTokens });
        const whole = buildPrompt({ ...given, contextWindow: 1_000_000, countTokens });
        if (whole.tooLong) throw new Error('a million tokens must do');
        const turns = whole.messages.filter(({ role }) => role !== 'system');
        const system = whole.messages.filter(({ role }) => role === 'system');
        if (prompt.tooLong) {
          const least = [...system, ...turns.slice(-1)].reduce((sum, { content }) => sum + content.length + 4, 3);
          expect(prompt.promptTokens).toBe(least);
          expect(least + 1).toBeGreaterThan(given.contextWindow);
          return;
        }
        const { messages, promptTokens, maxTokens } = prompt;
        const kept = messages.filter(({ role }) => role !== 'system');
        expect(messages).toEqual([...system, ...turns.slice(-kept.length)]);
        expect(kept.map(({ role }) => role)).toEqual(kept.map((_, k) => (k % 2 === 0 ? 'user' : 'assistant')));
        expect(kept.length % 2).toBe(1);
        expect(kept.every(({ content }) => content !== '')).toBe(true);
        expect(promptTokens).toBe(messages.reduce((sum, { content }) => sum + content.length + 4, 3));
        expect(promptTokens + maxTokens).toBeLessThanOrEqual(given.contextWindow);
        expect(maxTokens).toBe(Math.min(given.maxOutput, given.contextWindow - promptTokens));
        expect(maxTokens).toBeGreaterThanOrEqual(1);
        // Nothing is dropped that had room.
        const next = turns.slice(0, turns.length - kept.length).slice(-2);
        const nextTokens = next.reduce((sum, { content }) => sum + content.length + 4, 0);
        const room = Math.max(1, Math.min(given.maxOutput, Math.floor(given.contextWindow / 4)));
        if (next.length > 0) expect(promptTokens + nextTokens + room).toBeGreaterThan(given.contextWindow);
      }),
      { seed, numRuns: 500 },
    );
  });
});
