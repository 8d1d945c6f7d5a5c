import { createCircuitBreaker, type CircuitBreaker } from '../../platform/circuit-breaker.ts';
import { delay, type Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import { AttemptFailure, type Attempt, type AttemptEvent } from './attempt.ts';
import { ProviderError, type Provider, type ProviderEvent, type ProviderModel } from './provider.ts';
import { startWatchdog, type Watchdog } from './watchdog.ts';

export interface GuardOptions {
  readonly attempt: Attempt;
  /** The environment variable with the model's key, where it is needed and not set; else null. */
  readonly missingVariable: (model: ProviderModel) => string | null;
  /** Models of one key share their failures. */
  readonly circuitKey: (model: ProviderModel) => string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** From 0 to 1, for the jitter of retries. @default Math.random */
  readonly random?: (() => number) | undefined;
}

const maxRetries = 2;
/** Milliseconds before the first retry; doubled for the second. */
const baseBackoff = 500;
/** Milliseconds: a provider that wants a longer pause is not asked again by this call. */
const longestRetryAfter = 20_000;
const circuitThreshold = 5;
const circuitRest = 30_000;

/**
 * What every provider over a network needs around its bare calls: time limits, retries before the first token, a
 * circuit breaker a model, cancelling upstream, and no end without a finish reason.
 */
export function createGuardedProvider(options: GuardOptions): Provider {
  const { attempt, missingVariable, circuitKey, clock, logger, random = Math.random } = options;
  const circuits = new Map<string, CircuitBreaker>();

  function circuitOf(model: ProviderModel): CircuitBreaker {
    const key = circuitKey(model);
    let circuit = circuits.get(key);
    if (circuit === undefined) {
      const onOpen = () =>
        logger.error({ providerModel: model.providerModel }, 'A model keeps failing and is not called for a while.');
      circuit = createCircuitBreaker({ clock, threshold: circuitThreshold, rest: circuitRest, onOpen });
      circuits.set(key, circuit);
    }
    return circuit;
  }

  /** Milliseconds to wait before the next attempt, null when there is none. */
  function backoff(failure: unknown, retries: number, watchdog: Watchdog): number | null {
    if (!(failure instanceof AttemptFailure) || !failure.retryable || retries >= maxRetries) return null;
    const { retryAfter = 0 } = failure;
    if (retryAfter > longestRetryAfter) return null;
    const wait = Math.max(retryAfter, Math.round(baseBackoff * 2 ** retries * (0.5 + random() / 2)));
    return wait < watchdog.firstTokenLeft() ? wait : null;
  }

  return {
    unavailableReason(model) {
      if (missingVariable(model) !== null) return 'This model is not configured on this server: choose another one.';
      return circuitOf(model).isOpen() ? 'The model failed several times in a row and is tried again shortly.' : null;
    },

    missingVariable,

    async *stream(request, signal): AsyncGenerator<ProviderEvent> {
      signal.throwIfAborted();
      const { model, generationId } = request;
      const missing = missingVariable(model);
      if (missing !== null) throw new ProviderError('MODEL_UNAVAILABLE', `${missing} is not set`);
      const permit = circuitOf(model).enter();
      if (permit === null) throw new ProviderError('MODEL_UNAVAILABLE', 'the circuit is open');

      const upstream = new AbortController();
      const cancel = () => upstream.abort(signal.reason);
      signal.addEventListener('abort', cancel, { once: true });
      const watchdog = startWatchdog(clock, model.timeouts, (error) => upstream.abort(error));
      let tokenSeen = false;
      let finished = false;
      let settled = false;
      const settle = (outcome: 'succeeded' | 'failed' | 'abandoned') => {
        if (!settled) permit[outcome]();
        settled = true;
      };
      const sawToken = () => {
        if (tokenSeen) return;
        tokenSeen = true;
        permit.responded();
        watchdog.firstToken();
      };
      /** Keeps the books of the call. */
      const isForConsumer = (event: AttemptEvent): event is ProviderEvent => {
        switch (event.type) {
          case 'text':
            sawToken();
            return true;
          case 'reasoning':
            sawToken();
            return false;
          case 'ending':
            watchdog.ending(event.within);
            return false;
          case 'usage':
            return true;
          case 'finish':
            finished = true;
            settle('succeeded');
            return true;
        }
      };

      try {
        for (let retries = 0; ; retries += 1) {
          try {
            for await (const events of await attempt(request, upstream.signal)) {
              watchdog.heard();
              for (const event of events.filter(isForConsumer)) {
                watchdog.hold();
                yield event;
                watchdog.release();
                signal.throwIfAborted();
              }
            }
            signal.throwIfAborted();
            if (!finished) throw new AttemptFailure('the stream ended without a finish reason');
            return;
          } catch (error) {
            signal.throwIfAborted();
            // The watchdog's own error, whatever the aborted call made of it.
            upstream.signal.throwIfAborted();
            const wait = tokenSeen ? null : backoff(error, retries, watchdog);
            if (wait === null) throw error;
            logger.warn(
              { generationId, providerModel: model.providerModel, reason: (error as Error).message, wait },
              'A call to a model failed before its first token and is made again.',
            );
            await delay(clock, wait, upstream.signal);
          }
        }
      } catch (error) {
        signal.throwIfAborted();
        settle(error instanceof AttemptFailure && !error.providerAtFault ? 'abandoned' : 'failed');
        if (error instanceof ProviderError) throw error;
        throw new ProviderError('MODEL_ERROR', 'the call failed unexpectedly', { cause: error });
      } finally {
        settle('abandoned');
        watchdog.stop();
        signal.removeEventListener('abort', cancel);
        upstream.abort();
      }
    },
  };
}
