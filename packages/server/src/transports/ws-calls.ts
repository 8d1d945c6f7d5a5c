import { errorTable, type ErrorCode } from '@chat-service/shared/errors';
import type { Clock } from '../platform/clock.ts';
import type { Logger, PayloadMode } from '../platform/logger.ts';
import { ServiceError } from '../platform/service-error.ts';
import type { Authentication } from '../trpc/context.ts';
import { currentCall } from '../trpc/current-call.ts';
import type { InFlight } from './in-flight.ts';
import { logRequest, newRecord, type RequestRecord } from './request-log.ts';
import type { AdmitCall } from './ws-call-limits.ts';
import type { CallType } from './ws-frames.ts';

export interface Call extends RequestRecord {
  readonly type: CallType;
  readonly authentication: Authentication;
  readonly admit: AdmitCall;
  /** What the replies to it begin with. */
  readonly replyHead: string;
  readonly leave: () => void;
}

export interface WsCallsOptions {
  readonly connectionId: string;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly payloads: PayloadMode;
  readonly inFlight: InFlight;
  /** Told when a call is over, before its last reply is sent. */
  readonly onFinished: () => void;
}

/** The calls of one connection: their ids, how many are open, and their lines in the log. */
export interface WsCalls {
  readonly size: number;
  /** Queries and mutations that have not been answered. */
  readonly unanswered: number;
  /** The call that the running code works for, also when it is over. */
  current(): Call | undefined;
  /** Why one more call of this type is too many; null when it is not. */
  refusal(type: CallType): ServiceError | null;
  start(type: CallType, path: string, allowed: Pick<Call, 'authentication' | 'admit' | 'replyHead'>): Call;
  /** Looks whether this reply is the last of the running call, and if so finishes that. */
  replied(reply: unknown): void;
  /** Logs a call that never began, and gives back its request id. */
  refused(call: { method: string; path: string | null; userId: string | null; code: ErrorCode }): string;
  /** Finishes what is open: nobody is there to hear more. */
  abandon(): void;
}

const maxOpen = { subscription: 1000, call: 200 };
/** The status that is logged for a call whose client left before its answer. */
const clientClosedRequest = 499;

export function createWsCalls(options: WsCallsOptions): WsCalls {
  const { connectionId, logger, clock, inFlight, onFinished } = options;
  const calls = new Set<Call>();
  /** Also those that are over: what they still say has to be known as theirs. */
  const known = new WeakMap<object, Call>();
  const open = { subscription: 0, call: 0 };
  let count = 0;

  function nextRequestId(): string {
    count += 1;
    return `${connectionId}.${count}`;
  }

  function current(): Call | undefined {
    const running = currentCall.getStore();
    return running === undefined ? undefined : known.get(running);
  }

  function finish(call: Call, status: number) {
    if (!calls.delete(call)) return;
    open[kindOf(call.type)] -= 1;
    call.leave();
    const answered = call.code === null ? status : errorTable[call.code].status;
    logRequest(logger, clock, call, { door: 'websocket', method: call.type, status: answered });
    onFinished();
  }

  return {
    get size() {
      return calls.size;
    },
    get unanswered() {
      return open.call;
    },
    current,
    refusal(type) {
      const kind = kindOf(type);
      if (open[kind] < maxOpen[kind]) return null;
      return new ServiceError('RATE_LIMITED', {
        detail: `A connection holds at most ${maxOpen[kind]} of these at once.`,
      });
    },
    start(type, path, { authentication, admit, replyHead }) {
      const record = newRecord(nextRequestId(), path, options);
      const call: Call = Object.assign(record, { type, authentication, admit, replyHead, leave: inFlight.enter() });
      if (authentication.status === 'verified') call.userId = authentication.principal.userId;
      calls.add(call);
      known.set(call, call);
      open[kindOf(type)] += 1;
      return call;
    },
    replied(reply) {
      const call = current();
      if (call !== undefined && isLast(reply, call.type)) finish(call, 200);
    },
    refused({ method, path, userId, code }) {
      const record = Object.assign(newRecord(nextRequestId(), path ?? '', options), { userId, code });
      logRequest(logger, clock, record, { door: 'websocket', method, status: errorTable[code].status });
      return record.requestId;
    },
    abandon() {
      for (const call of calls) finish(call, call.type === 'subscription' ? 200 : clientClosedRequest);
    },
  };
}

function kindOf(type: CallType): 'subscription' | 'call' {
  return type === 'subscription' ? 'subscription' : 'call';
}

/** Whether a reply is the last one of its call. */
function isLast(reply: unknown, type: CallType): boolean {
  if (typeof reply !== 'object' || reply === null) return false;
  if ('error' in reply || type !== 'subscription') return true;
  const result: unknown = 'result' in reply ? reply.result : null;
  return typeof result === 'object' && result !== null && 'type' in result && result.type === 'stopped';
}
