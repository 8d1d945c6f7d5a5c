import { delay, type Clock } from '../../../platform/clock.ts';
import { AccountingFailure } from './accounting-failure.ts';
import type { CallService, ServiceAnswer, ServiceCall } from './call-service.ts';

/**
 * Asks for something that may be asked twice, as everything under an idempotency key may, and does so once more where
 * there is no answer. `read` throws an AccountingFailure at what is none.
 * @throws AccountingFailure after the last try; the signal's reason once it has aborted
 */
export type AskService = <Answer>(
  call: ServiceCall,
  read: (answer: ServiceAnswer) => Answer,
  signal?: AbortSignal,
) => Promise<Answer>;

export interface AskServiceOptions {
  readonly callService: CallService;
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** A caller waits for it: the two time-outs and the pause between come to 4 s. */
const maxTries = 2;
/** Milliseconds, of which half is chance. */
const pauseMs = 200;
/** Milliseconds: where the service wants a longer pause, nobody waits for it. */
const longestPauseMs = 500;

export function createAskService({ callService, clock, random }: AskServiceOptions): AskService {
  return async function askService(call, read, signal) {
    for (let tries = 1; ; tries += 1) {
      try {
        return read(await callService(call, signal));
      } catch (error) {
        if (!(error instanceof AccountingFailure) || !error.isServiceAtFault) throw error;
        const { retryAfter = 0 } = error;
        if (tries >= maxTries || retryAfter > longestPauseMs) throw error;
        await delay(clock, Math.max(retryAfter, Math.round(pauseMs * (0.5 + random() / 2))), signal);
      }
    }
  };
}
