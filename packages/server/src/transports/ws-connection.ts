import type { IncomingMessage } from 'node:http';
import type { AnyTRPCRouter } from '@trpc/server';
import { getWSConnectionHandler } from '@trpc/server/adapters/ws';
import { errorTable } from '@chat-service/shared/errors';
import type { WebSocket, WebSocketServer } from 'ws';
import type { Authenticate } from '../clients/auth/principal.ts';
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/logger.ts';
import { ServiceError } from '../platform/service-error.ts';
import type { Authentication, RequestContext } from '../trpc/context.ts';
import { currentCall } from '../trpc/current-call.ts';
import { toServiceError, toWireError } from '../trpc/error-mapping.ts';
import { endOfToken, judgeToken, unauthenticated } from './credentials.ts';
import { at } from './deadline.ts';
import type { InFlight } from './in-flight.ts';
import { logCause, logRequest, newRecord, type RequestRecord } from './request-log.ts';
import { maxBatchSize } from './trpc-http.ts';
import { readFrame, type CallId, type CallMessage, type CallType, type Incoming } from './ws-frames.ts';
import { tapSocket } from './ws-tap.ts';
import { WsWriter } from './ws-writer.ts';

export interface WsConnectionOptions {
  readonly router: AnyTRPCRouter;
  readonly authenticate: Authenticate;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly maxBodyBytes: number;
  /** A socket that has shown no token within so many milliseconds is closed. */
  readonly webSocketAuthMs: number;
  readonly streamStallMs: number;
  /** Calls under way on all connections. */
  readonly inFlight: InFlight;
  readonly onCut: () => void;
}

export interface WsPeer {
  readonly socket: WebSocket;
  readonly server: WebSocketServer;
  readonly request: IncomingMessage;
  readonly connectionId: string;
  readonly clientAddress: string;
}

/** A WebSocket connection as the server sees it. */
export interface WsConnection {
  readonly isAuthenticated: boolean;
  /** Bytes that the client has not taken yet. */
  readonly buffered: number;
  readonly openCalls: number;
  /** Asks the client to go elsewhere, as soon as it waits for nothing here. */
  askToReconnect(): void;
  /** Says goodbye with a close code, after what was already said. */
  close(code: number, reason: string): void;
  terminate(): void;
}

/** The close code of a connection whose token has ended, or that never showed one. */
export const closeUnauthorized = 4401;
const maxSubscriptionsInFrame = 200;
const maxSubscriptions = 1000;
const maxCallsUnderWay = 200;
/** A connection that was refused stays, so that each call can be told why; without calls it has no reason to. */
const refusedIdleMs = 60_000;
/** How long calls under way may hold up the close at the end of a token. */
const lastAnswersMs = 5000;
const maxParamsBytes = 32 * 1024;
const pingMs = 30_000;
const pongWaitMs = 10_000;
const closeHandshakeMs = 5000;

interface Call extends RequestRecord {
  readonly type: CallType;
  readonly authentication: Authentication;
  readonly leave: () => void;
}

/**
 * Serves tRPC on one socket: who asks, how much, until when, and how fast the answers may go. tRPC's handler sees the
 * socket only through a tap and gets one checked call at a time, each running as `currentCall` under its own request id.
 */
export function serveConnection(options: WsConnectionOptions, peer: WsPeer): WsConnection {
  const { router, authenticate, logger, clock, inFlight } = options;
  const { socket, connectionId, clientAddress } = peer;
  const limits = {
    maxBytes: options.maxBodyBytes,
    maxCalls: maxBatchSize,
    maxSubscriptions: maxSubscriptionsInFrame,
  };
  const calls = new Set<Call>();
  /** Also those that are over: what they still say has to be known as theirs. */
  const known = new WeakMap<object, Call>();
  const open = { calls: 0, subscriptions: 0 };
  const announcesParams = /[?&]connectionParams=1(?:&|$)/u.test(peer.request.url ?? '');
  const writer = new WsWriter(socket, { clock, stallMs: options.streamStallMs, onCut: options.onCut });
  let token: string | null = null;
  let authentication: Authentication | null = null;
  let callCount = 0;
  let expired = false;
  let closing = false;
  let reconnectAsked = false;
  let delivered: unknown = null;
  let lastCallAt = clock.now();
  let heardSincePing = true;
  /** Frames wait here, in order, while a token is judged. */
  let judging: Promise<void> | null = null;
  const timers = { deadline: () => {}, expiry: () => {}, idle: () => {}, ping: () => {}, handshake: () => {} };

  const tap = tapSocket(socket, (text) => {
    const call = callUnderWay();
    // From the end of the token on a subscription is silent: an error or an end would be taken for its own.
    if (expired && call?.type === 'subscription') return;
    writer.send(text);
  });

  const context: RequestContext = {
    // One context serves all calls of a connection: what differs between them is asked of the call that runs.
    get requestId() {
      return currentCall.getStore()?.requestId ?? connectionId;
    },
    get authentication() {
      return callUnderWay()?.authentication ?? unauthenticated;
    },
    clientAddress,
    outbound: writer,
  };

  function callUnderWay(): Call | undefined {
    const current = currentCall.getStore();
    return current === undefined ? undefined : known.get(current);
  }

  const told = new WeakSet<Error>();
  getWSConnectionHandler({
    router,
    wss: peer.server,
    createContext: () => context,
    experimental_encoder: {
      decode: () => delivered,
      encode(reply) {
        const call = callUnderWay();
        if (call !== undefined && isLast(reply, call.type)) finish(call, null);
        return JSON.stringify(reply);
      },
    },
    onError({ error, path }) {
      if (told.has(error)) return;
      told.add(error);
      const owned = toServiceError(error);
      const call = callUnderWay();
      if (call !== undefined) call.code ??= owned.code;
      logCause(logger, owned, call?.requestId ?? connectionId, path ?? '');
    },
  })(tap.socket, withoutParams(peer.request));

  function finish(call: Call, closedStatus: number | null) {
    if (!calls.delete(call)) return;
    open[budgetOf(call.type)] -= 1;
    call.leave();
    const status = call.code === null ? (closedStatus ?? 200) : errorTable[call.code].status;
    logRequest(logger, clock, call, { door: 'websocket', method: call.type, status });
    // The last reply is encoded by now and sent right after.
    queueMicrotask(() => {
      if (expired) closeWhenAnswered();
      if (reconnectAsked && calls.size === 0) sendReconnect();
    });
  }

  function refuse(id: CallId | null, path: string | null, method: string, error: ServiceError) {
    const record = newRecord(nextRequestId(), path ?? '', clock);
    record.code = error.code;
    record.userId = userId();
    writer.send(JSON.stringify({ id, error: { json: toWireError(error, record.requestId, path ?? undefined) } }));
    logRequest(logger, clock, record, { door: 'websocket', method, status: errorTable[error.code].status });
  }

  function nextRequestId(): string {
    callCount += 1;
    return `${connectionId}.${callCount}`;
  }

  function userId(): string | null {
    return authentication?.status === 'verified' ? authentication.principal.userId : null;
  }

  function startCall(message: CallMessage, judged: Authentication) {
    const { method: type, params } = message;
    const tooMany = tooManyCalls(type);
    if (tooMany !== null) return refuse(message.id, params.path, type, tooMany);
    if (expired) {
      // The client sends its subscriptions again on its next connection; a call it could only guess about.
      if (type === 'subscription') return;
      return refuse(
        message.id,
        params.path,
        type,
        new ServiceError('UNAUTHORIZED', { detail: 'The token has ended.' }),
      );
    }
    lastCallAt = clock.now();
    const record = newRecord(nextRequestId(), params.path, clock);
    const call: Call = Object.assign(record, { type, authentication: judged, leave: inFlight.enter() });
    call.userId = userId();
    calls.add(call);
    known.set(call, call);
    open[budgetOf(type)] += 1;
    hand(message, call);
  }

  function hand(message: unknown, call: Call | null) {
    delivered = message;
    if (call === null) tap.deliver();
    else currentCall.run(call, () => tap.deliver());
    delivered = null;
  }

  function tooManyCalls(type: CallType): ServiceError | null {
    const most = type === 'subscription' ? maxSubscriptions : maxCallsUnderWay;
    if (open[budgetOf(type)] < most) return null;
    return new ServiceError('RATE_LIMITED', { detail: `A connection holds at most ${most} of these at once.` });
  }

  async function judge() {
    const judged = await judgeToken(authenticate, token);
    authentication = judged;
    const end = endOfToken(judged);
    if (end === null || closing) return;
    timers.idle();
    timers.expiry = at(clock, end, expire);
  }

  function take(incoming: Incoming) {
    if (incoming.kind === 'connection-params') {
      if (authentication !== null) {
        return refuse(
          null,
          null,
          'connectionParams',
          new ServiceError('BAD_REQUEST', { detail: 'They were sent before.' }),
        );
      }
      const given = incoming.params['token'];
      token = typeof given === 'string' && given !== '' ? given : null;
      timers.deadline();
      watchIdle();
      judging = judge();
      return;
    }
    if (incoming.kind === 'stop') return hand(incoming.message, null);
    // Before its connection parameters nothing is heard of a connection but garbage; the deadline ends it.
    if (authentication === null && announcesParams) return;
    if (incoming.kind === 'refused') return refuse(incoming.id, incoming.path, 'call', incoming.error);
    if (authentication?.status === 'refused' && authentication.error.code === 'AUTH_UNAVAILABLE') {
      // The keys may be back by now: a client that stays connected must not have to guess that.
      judging = judge().then(() => startCall(incoming.message, authentication ?? unauthenticated));
      return;
    }
    startCall(incoming.message, authentication ?? unauthenticated);
  }

  async function takeAll(frame: Incoming[]) {
    for (const incoming of frame) {
      while (judging !== null) {
        const current = judging;
        await current;
        if (judging === current) judging = null;
      }
      if (closing) return;
      take(incoming);
    }
  }

  /** Frames are taken in order; the chain exists only while something in it waits. */
  let backlog: Promise<void> | null = null;
  function takeInOrder(frame: Incoming[]) {
    if (backlog === null && judging === null) {
      while (frame.length > 0 && judging === null && !closing) {
        const next = frame.shift();
        if (next !== undefined) take(next);
      }
      if (frame.length === 0) return;
    }
    socket.pause();
    const current: Promise<void> = (backlog ?? Promise.resolve())
      .then(() => takeAll(frame))
      .finally(() => {
        if (backlog !== current) return;
        backlog = null;
        socket.resume();
      });
    backlog = current;
  }

  socket.on('message', (data: Buffer, isBinary: boolean) => {
    heardSincePing = true;
    if (closing) return;
    if (isBinary) {
      return refuse(null, null, 'unknown', new ServiceError('BAD_REQUEST', { detail: 'Frames have to be text.' }));
    }
    if (data.length === 4) {
      const text = data.toString();
      if (text === 'PONG') return;
      if (text === 'PING') return writer.send('PONG');
    }
    // Connection parameters are short; nothing longer is worth reading for a stranger.
    if (authentication === null && judging === null && announcesParams && data.length > maxParamsBytes) return;
    takeInOrder(readFrame(data, limits));
  });
  socket.on('pong', () => {
    heardSincePing = true;
  });
  socket.on('error', (error) => logger.debug({ requestId: connectionId, err: error }, 'socket failed'));
  socket.once('close', () => {
    closing = true;
    for (const stop of Object.values(timers)) stop();
    writer.close();
    for (const call of calls) finish(call, call.type === 'subscription' ? 200 : 499);
    tap.end();
  });

  timers.deadline = clock.after(options.webSocketAuthMs, () => close(closeUnauthorized, 'no token was shown in time'));
  schedulePing();

  function watchIdle() {
    timers.idle = at(clock, lastCallAt + refusedIdleMs, () => {
      if (clock.now() - lastCallAt >= refusedIdleMs) close(closeUnauthorized, 'no valid token');
      else watchIdle();
    });
  }

  function schedulePing() {
    timers.ping = clock.after(pingMs, () => {
      if (!closing) {
        heardSincePing = false;
        writer.send('PING');
        socket.ping();
        awaitPong();
      }
    });
  }

  function awaitPong() {
    timers.ping = clock.after(pongWaitMs, () => {
      if (heardSincePing) return schedulePing();
      // Behind what it has not read yet a ping may be waiting; a reader that takes nothing is cut by the writer.
      if (writer.buffered > 0) return awaitPong();
      terminate();
    });
  }

  function expire() {
    expired = true;
    timers.expiry = clock.after(lastAnswersMs, () => close(closeUnauthorized, 'the token has ended'));
    closeWhenAnswered();
  }

  function closeWhenAnswered() {
    if (open.calls > 0) return;
    close(closeUnauthorized, 'the token has ended');
  }

  function sendReconnect() {
    reconnectAsked = false;
    if (!closing) writer.send(JSON.stringify({ id: null, method: 'reconnect' }));
  }

  function close(code: number, reason: string) {
    if (closing) return;
    closing = true;
    // What subscriptions say while they end is not heard any more.
    expired = true;
    writer.whenEmpty(() => {
      tap.end();
      socket.close(code, reason);
      timers.handshake = clock.after(closeHandshakeMs, terminate);
    });
  }

  function terminate() {
    socket.terminate();
  }

  return {
    get isAuthenticated() {
      return authentication?.status === 'verified';
    },
    get buffered() {
      return writer.buffered;
    },
    get openCalls() {
      return calls.size;
    },
    askToReconnect() {
      reconnectAsked = true;
      if (calls.size === 0) sendReconnect();
    },
    close,
    terminate,
  };
}

/** Whether a reply is the last one of its call. */
function isLast(reply: unknown, type: CallType): boolean {
  if (typeof reply !== 'object' || reply === null) return false;
  if ('error' in reply) return true;
  if (type !== 'subscription') return true;
  const result: unknown = 'result' in reply ? reply.result : null;
  return typeof result === 'object' && result !== null && 'type' in result && result.type === 'stopped';
}

function budgetOf(type: CallType): 'calls' | 'subscriptions' {
  return type === 'subscription' ? 'subscriptions' : 'calls';
}

/**
 * The upgrade request as tRPC may see it: connection parameters are taken before it, and a `Host` that is no host would
 * make it throw.
 */
function withoutParams(request: IncomingMessage): IncomingMessage {
  const plain: Record<string | symbol, unknown> = { url: '/trpc', headers: {} };
  return new Proxy(request, {
    get: (target, key): unknown => (key in plain ? plain[key] : Reflect.get(target, key, target)),
  });
}
