import type { PromptMessage } from '../provider.ts';

export interface DemoPlan {
  readonly text: string;
  /** Words a second; null takes the provider's own pace. */
  readonly pace: number | null;
  /** Fails when this many words have been sent. */
  readonly failsAfter: number | null;
}

const longWords = 2_000;
const slowWords = 40;
const wordsBeforeFailure = 12;

const sentences = [
  'A token is a piece of a word, and a model writes one after the other.',
  'Each of them travels to you as soon as it is there.',
  'When your connection breaks, the answer goes on without you, and you join it again where you left.',
  'A second window of the same session shows the same text at the same time.',
  'When you stop it, what has been written so far is kept.',
  'Nothing in this text is clever, because nobody thought about it.',
  'It is always the same, so that you can compare what you see with what was sent.',
];

const commands =
  'Begin a message with /long for a long answer, /slow for a slow one, /error or /error mid for a failure.';

/** What the demo model does with a prompt: the same prompt, the same plan. */
export function planAnswer(messages: readonly PromptMessage[]): DemoPlan {
  const question = messages.findLast(({ role }) => role === 'user')?.content ?? '';
  const turn = messages.filter(({ role }) => role === 'user').length;
  switch (readCommand(question)) {
    case '/long':
      return { text: repeatSentences(longWords), pace: null, failsAfter: null };
    case '/slow':
      return { text: repeatSentences(slowWords), pace: 1, failsAfter: null };
    case '/error':
      return { text: '', pace: null, failsAfter: 0 };
    case '/error mid':
      return { text: repeatSentences(wordsBeforeFailure * 2), pace: null, failsAfter: wordsBeforeFailure };
    default:
      return { text: reply(question, turn), pace: null, failsAfter: null };
  }
}

/**
 * Unanswered messages arrive joined by blank lines. The newest of them decides, or after one `/error` every next
 * message would fail too; `/long` and `/slow` may also stand at the beginning of the whole.
 */
function readCommand(question: string): string | null {
  const newest = /^\/(?:long|slow|error mid|error)\b/.exec(question.split(/\n{2,}/).at(-1) ?? '');
  return (newest ?? /^\/(?:long|slow)\b/.exec(question))?.[0] ?? null;
}

function reply(question: string, turn: number): string {
  const points = Array.from(question.trim());
  const quote = points.length > 200 ? `${points.slice(0, 200).join('')}…` : points.join('');
  const turns = turn === 1 ? 'This is the first message' : `This is message ${turn}`;
  return [
    `I am the demo model: I am built into the service, need no key, and understand nothing of what you write.`,
    `You wrote: “${quote}”`,
    `${turns} of our conversation that I was sent, ${points.length} characters long. ${commands}`,
  ].join('\n\n');
}

function repeatSentences(words: number): string {
  const parts: string[] = ['I am the demo model, and this is what I always say.'];
  for (let count = countWords(parts[0] ?? ''), index = 0; count < words; index += 1) {
    const sentence = sentences[index % sentences.length] ?? '';
    parts.push((index + 1) % sentences.length === 0 ? `${sentence}\n\n` : sentence);
    count += countWords(sentence);
  }
  return parts.join(' ').replaceAll('\n\n ', '\n\n').trimEnd();
}

function countWords(text: string): number {
  return splitWords(text).length;
}

/** The demo model's tokens: a word with the white space before it, at most this long; joined they are the text again. */
export function splitWords(text: string): string[] {
  return text.match(/\s*[^\s]{1,24}|\s+/gu) ?? [];
}
