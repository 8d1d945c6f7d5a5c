import type { AnyTRPCRouter } from '@trpc/server';
import type { ServiceError } from '../platform/service-error.ts';
import { countCalls, isResumingInput, rateLimited, type Caller, type CallLimits } from './call-limits.ts';
import { isPublic, isSubscription } from './declared-procedures.ts';
import type { CallMessage } from './ws-frames.ts';

/** Lets a call go on, at once or when there is room. @throws ServiceError `RATE_LIMITED` */
export type AdmitCall = (signal: AbortSignal | undefined) => Promise<void>;

export interface WsCallLimits {
  /** Counts a call from now on, in the order in which calls come; what is found is told where it is asked for. */
  count(message: CallMessage, caller: Caller): AdmitCall;
  /** Counts what is refused anyway; the error to tell instead, null where it is not too much. */
  countRefused(caller: Caller): Promise<ServiceError | null>;
}

const free: AdmitCall = () => Promise.resolve();
const endless = new AbortController().signal;

/** Limits of the calls on a socket; `onTooMuch` is told of each that is refused. */
export function createWsCallLimits(router: AnyTRPCRouter, limits: CallLimits, onTooMuch: () => void): WsCallLimits {
  async function countOne(caller: Caller): Promise<ServiceError | null> {
    const counted = await countCalls(limits, caller, 1);
    if (counted?.allowed !== 0) return null;
    onTooMuch();
    return rateLimited(counted);
  }

  return {
    count({ method, params }, caller) {
      const { path, input, lastEventId = '' } = params;
      const { authentication } = caller;
      if (isPublic(router, path)) return free;
      const resumes = lastEventId !== '' || isResumingInput(input.json);
      const follows = method === 'subscription' && isSubscription(router, path);
      if (resumes && follows && authentication.status === 'verified') {
        const { userId } = authentication.principal;
        return async (signal = endless) => void (await limits.waitForResumption(userId, signal));
      }
      const counting = countOne(caller);
      // Nobody may ask: tRPC refuses some calls before their procedure.
      counting.catch(() => undefined);
      return async () => {
        const tooMuch = await counting;
        if (tooMuch !== null) throw tooMuch;
      };
    },
    countRefused: countOne,
  };
}
