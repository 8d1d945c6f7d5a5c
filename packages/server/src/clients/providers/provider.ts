import type { FinishReason, Parameters } from '@chat-service/shared/objects';

export interface PromptMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface ProviderTimeouts {
  /** Milliseconds until the first token, retries included. */
  readonly firstToken: number;
  /** Milliseconds between two events after it. */
  readonly idle: number;
  /** Milliseconds for the whole answer. */
  readonly total: number;
}

/** The model as its provider knows it. */
export interface ProviderModel {
  readonly providerModel: string;
  readonly baseUrl?: string | undefined;
  /** Name of the environment variable that holds the key, where it is not the provider's own. */
  readonly apiKeyEnv?: string | undefined;
  readonly timeouts: ProviderTimeouts;
}

export interface ProviderRequest {
  readonly model: ProviderModel;
  /** System message first, then turns that alternate and end with the user's. */
  readonly messages: readonly PromptMessage[];
  /** How to write; `maxTokens` beside it bounds the answer, not the one in here. */
  readonly parameters: Parameters;
  /** Upper bound of the answer in tokens. */
  readonly maxTokens: number;
  /** The generation's id, for the provider's own logs and ours. */
  readonly generationId: string;
}

export interface ProviderUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Part of `inputTokens`. */
  readonly cachedInputTokens: number;
  /** Part of `outputTokens`. */
  readonly reasoningTokens: number;
}

/**
 * `text` is never empty and always storable: no U+0000, no lone surrogate, no surrogate pair torn between two events.
 * `finish` comes exactly once, after the last text; `usage` comes at most once, before or after it.
 */
export type ProviderEvent =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'usage'; readonly usage: ProviderUsage }
  | { readonly type: 'finish'; readonly reason: Exclude<FinishReason, 'stopped'> };

export type ProviderErrorCode = 'MODEL_ERROR' | 'MODEL_TIMEOUT' | 'MODEL_UNAVAILABLE';

/** A provider failed. `message` and `cause` are for the log: no word of a provider reaches a client. */
export class ProviderError extends Error {
  override readonly name: string = 'ProviderError';
  readonly code: ProviderErrorCode;

  constructor(code: ProviderErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface Provider {
  /** Null when calls can be made, else the reason in words for users: what they can do, and nothing of the set-up. */
  unavailableReason(model: ProviderModel): string | null;
  /** For the operator: the environment variable with the model's key, where it is needed and not set; else null. */
  missingVariable(model: ProviderModel): string | null;
  /**
   * Asks the model. Retries happen inside, before the first token only. Ends after `finish` (and `usage` where the
   * provider tells it); a stream that ends without a finish reason throws. Upstream is cancelled when the consumer
   * leaves the loop, and at once when the signal aborts, also while the consumer is not reading.
   * @throws ProviderError; the signal's reason when it aborts.
   */
  stream(request: ProviderRequest, signal: AbortSignal): AsyncIterable<ProviderEvent>;
}
