import { ProviderError, type ProviderErrorCode, type ProviderEvent, type ProviderRequest } from './provider.ts';

/** What one call of a provider's API tells: the port's events, and two signs of life. */
export type AttemptEvent =
  | ProviderEvent
  /** A token that is no text. */
  | { readonly type: 'reasoning' }
  /** The finish reason is known; milliseconds that the rest is worth waiting for. */
  | { readonly type: 'ending'; readonly within: number };

/**
 * One call without retries and time limits. Resolves once the provider has accepted it; then yields what came
 * together, also an empty list for an event that says nothing (but not for a comment). Ends after `finish`.
 * @throws AttemptFailure
 */
export type Attempt = (
  request: ProviderRequest,
  signal: AbortSignal,
) => Promise<AsyncIterable<readonly AttemptEvent[]> | Iterable<readonly AttemptEvent[]>>;

export interface AttemptFailureOptions extends ErrorOptions {
  /** Whether the same call may succeed a moment later. @default false */
  readonly retryable?: boolean;
  /** Milliseconds that the provider asked to wait before a repeat. */
  readonly retryAfter?: number | undefined;
  /** False where the request was at fault, not the provider. @default true */
  readonly providerAtFault?: boolean;
}

/** Why one call failed, and what that means for the next. */
export class AttemptFailure extends ProviderError {
  override readonly name = 'AttemptFailure';
  readonly retryable: boolean;
  readonly retryAfter: number | undefined;
  readonly providerAtFault: boolean;

  constructor(message: string, options: AttemptFailureOptions = {}, code: ProviderErrorCode = 'MODEL_ERROR') {
    const { retryable = false, retryAfter, providerAtFault = true, ...errorOptions } = options;
    super(code, message, errorOptions);
    this.retryable = retryable;
    this.retryAfter = retryAfter;
    this.providerAtFault = providerAtFault;
  }
}
