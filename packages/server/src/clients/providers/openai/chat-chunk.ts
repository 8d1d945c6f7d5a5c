import type { ProviderEvent, ProviderUsage } from '../provider.ts';

type FinishReason = Extract<ProviderEvent, { type: 'finish' }>['reason'];

/** One object of a Chat Completions answer, read leniently: servers differ in everything they leave out. */
export interface ChatChunk {
  /** Text of the answer, a refusal included; may be empty. */
  readonly text: string;
  /** Whether it carries a token that is no text: a reasoning model thinking aloud. */
  readonly reasoning: boolean;
  readonly finish: FinishReason | null;
  readonly usage: ProviderUsage | null;
  /** The upstream's error in words for the log, where the object is one. */
  readonly error: string | null;
}

type Fields = Readonly<Record<string, unknown>>;

/** @param choice Where the text is: `delta` in a stream, `message` in a whole answer. */
export function readChatChunk(value: unknown, choice: 'delta' | 'message'): ChatChunk {
  const body = fields(value);
  const error = body['error'] === undefined || body['error'] === null ? null : describeError(body);
  const choices = body['choices'];
  const first = fields(Array.isArray(choices) ? choices[0] : undefined);
  const delta = fields(first[choice]);
  return {
    text: string(delta['content']) + string(delta['refusal']),
    reasoning: string(delta['reasoning_content']) !== '' || string(delta['reasoning']) !== '',
    finish: readFinish(first['finish_reason']),
    usage: readUsage(body['usage']),
    error,
  };
}

/**
 * The codes of an error body. Its message stays out: providers repeat prompts and keys in it.
 * @example 'invalid_request_error, unsupported_value, temperature'
 */
export function describeError(value: unknown): string {
  const { type, code, param } = errorFields(value);
  const words = [type, code, param].filter((word) => typeof word === 'string' || typeof word === 'number');
  const known = words.map(String).filter((word) => /^[\w.:-]{1,64}$/.test(word));
  return known.length === 0 ? 'no details' : known.join(', ');
}

export function errorFields(value: unknown): Fields {
  return fields(fields(value)['error']);
}

function readFinish(reason: unknown): FinishReason | null {
  if (typeof reason !== 'string' || reason === '') return null;
  return reason === 'length' || reason === 'content_filter' ? reason : 'stop';
}

/** Null where there is none, or one that cannot be true. */
function readUsage(value: unknown): ProviderUsage | null {
  const usage = fields(value);
  const inputTokens = count(usage['prompt_tokens']);
  const outputTokens = count(usage['completion_tokens']);
  if (inputTokens === null || outputTokens === null) return null;
  const cached = count(fields(usage['prompt_tokens_details'])['cached_tokens']) ?? 0;
  const reasoning = count(fields(usage['completion_tokens_details'])['reasoning_tokens']) ?? 0;
  return {
    inputTokens,
    outputTokens,
    cachedInputTokens: Math.min(cached, inputTokens),
    reasoningTokens: Math.min(reasoning, outputTokens),
  };
}

/** Ten times the largest window that a catalogue may name; some servers tell `-1` as 4294967295. */
const mostTokens = 1_000_000_000;

function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= mostTokens ? value : null;
}

function string(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}
