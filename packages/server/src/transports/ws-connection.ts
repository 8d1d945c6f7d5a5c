import type { IncomingMessage } from 'node:http';
import type { AnyTRPCRouter } from '@trpc/server';
import { getWSConnectionHandler } from '@trpc/server/adapters/ws';
import type { WebSocket, WebSocketServer } from 'ws';
import type { Authenticate } from '../clients/auth/principal.ts';
import type { Clock } from '../platform/clock.ts';
import type { Logger, PayloadMode } from '../platform/logger.ts';
import { ServiceError } from '../platform/service-error.ts';
import type { RequestContext } from '../trpc/context.ts';
import { currentCall } from '../trpc/current-call.ts';
import { toServiceError, toWireError } from '../trpc/error-mapping.ts';
import type { CallLimits } from './call-limits.ts';
import type { InFlight } from './in-flight.ts';
import { logCause } from './request-log.ts';
import { maxBatchSize } from './trpc-http.ts';
import { createWsAuthentication } from './ws-authentication.ts';
import { createWsBrake } from './ws-brake.ts';
import { createWsCallLimits } from './ws-call-limits.ts';
import { createWsCalls, type Call } from './ws-calls.ts';
import { readFrame, type CallId, type CallMessage, type Incoming } from './ws-frames.ts';
import { keepAlive } from './ws-keep-alive.ts';
import { createWsLiveSink, replyHead } from './ws-live-sink.ts';
import { tapSocket } from './ws-tap.ts';
import { WsWriter } from './ws-writer.ts';

export interface WsConnectionOptions {
  readonly router: AnyTRPCRouter;
  readonly authenticate: Authenticate;
  readonly limits: CallLimits;
  readonly logger: Logger;
  readonly clock: Clock;
  /** What the log holds of inputs. */
  readonly payloads: PayloadMode;
  readonly maxBodyBytes: number;
  /** A socket that has shown no token within so many milliseconds is closed. */
  readonly webSocketAuthMs: number;
  readonly streamStallMs: number;
  /** Calls under way on all connections. */
  readonly inFlight: InFlight;
  /** Told when a reader is cut for not reading. */
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
  /** Asks the client to go elsewhere, as soon as it waits for nothing here. */
  askToReconnect(): void;
  /** Says goodbye with a close code, after what was already said. */
  close(code: number, reason: string): void;
  terminate(): void;
}

/** The close code of a connection whose token has ended, or that never showed one. */
const closeUnauthorized = 4401;
const maxSubscriptionsInFrame = 200;
/** Connection parameters are short; nothing longer is worth reading for a stranger. */
const maxParamsBytes = 32 * 1024;
/** How long calls under way may hold up the close at the end of a token. */
const lastAnswersMs = 5000;
const closeHandshakeMs = 5000;

/**
 * Serves tRPC on one socket: who asks, how much, until when, and how fast the answers may go. tRPC's handler sees the
 * socket only through a tap and gets one checked call at a time, each running as `currentCall` under its own request id.
 */
export function serveConnection(options: WsConnectionOptions, peer: WsPeer): WsConnection {
  const { logger, clock, inFlight, onCut } = options;
  const { socket, connectionId, clientAddress } = peer;
  const frameLimits = {
    maxBytes: options.maxBodyBytes,
    maxCalls: maxBatchSize,
    maxSubscriptions: maxSubscriptionsInFrame,
  };
  const brake = createWsBrake({ clock, pause: () => socket.pause(), resume: readOn });
  const callLimits = createWsCallLimits(options.router, options.limits, brake.refused);
  const announcesParams = /[?&]connectionParams=1(?:&|$)/u.test(peer.request.url ?? '');
  /** From here on subscriptions are silent: an error or an end would be taken for their own. */
  let silent = false;
  let closing = false;
  let reconnectAsked = false;
  let cancelTimer = () => {};
  /** What tRPC is handed next; it decodes nothing itself. */
  let delivered: unknown = null;
  /** Frames that wait for a token to be judged, in their order. */
  let backlog: Promise<void> | null = null;

  const writer = new WsWriter(socket, {
    clock,
    stallMs: options.streamStallMs,
    onCut,
  });
  const calls = createWsCalls({
    connectionId,
    logger,
    clock,
    payloads: options.payloads,
    inFlight,
    // The last reply is sent right after.
    onFinished: () => queueMicrotask(settle),
  });
  const authentication = createWsAuthentication({
    ...options,
    onStranger: (reason) => close(closeUnauthorized, reason),
    onExpired: expire,
  });
  const alive = keepAlive({
    clock,
    ping() {
      writer.send('PING');
      if (!closing) socket.ping();
    },
    isTaken: () => writer.buffered === 0,
    onDead: () => socket.terminate(),
  });
  const tap = tapSocket(socket, (text) => {
    if (!silent || calls.current()?.type !== 'subscription') writer.send(text);
  });

  const context: RequestContext = {
    // One context serves all calls of a connection: what differs between them is asked of the call that runs.
    get requestId() {
      return currentCall.getStore()?.requestId ?? connectionId;
    },
    get authentication() {
      return calls.current()?.authentication ?? authentication.effective;
    },
    clientAddress,
    admitCall: (signal) => calls.current()?.admit(signal),
    outbound: writer,
    get liveSink() {
      return createWsLiveSink(calls.current()?.replyHead ?? '', writer, () => silent || closing);
    },
  };

  const told = new WeakSet<Error>();
  getWSConnectionHandler({
    router: options.router,
    wss: peer.server,
    createContext: () => context,
    experimental_encoder: {
      decode: () => delivered,
      encode(reply) {
        calls.replied(reply);
        return JSON.stringify(reply);
      },
    },
    onError({ error, path }) {
      if (told.has(error)) return;
      told.add(error);
      const owned = toServiceError(error);
      const call = calls.current();
      if (call !== undefined) call.code ??= owned.code;
      logCause(logger, owned, call?.requestId ?? connectionId, path ?? '');
    },
  })(tap.socket, plainRequest(peer.request));

  function settle() {
    if (silent && !closing && calls.unanswered === 0) close(closeUnauthorized, 'the token has ended');
    if (!reconnectAsked || closing || calls.size > 0) return;
    reconnectAsked = false;
    writer.send(JSON.stringify({ id: null, method: 'reconnect' }));
  }

  function refuse(id: CallId | null, path: string | null, method: string, error: ServiceError) {
    const { effective } = authentication;
    const userId = effective.status === 'verified' ? effective.principal.userId : null;
    const requestId = calls.refused({ method, path, userId, code: error.code });
    writer.send(JSON.stringify({ id, error: { json: toWireError(error, requestId, path ?? undefined) } }));
  }

  /** Refuses what counts as a call. */
  async function refuseCounted(id: CallId | null, path: string | null, method: string, error: ServiceError) {
    const caller = { authentication: authentication.effective, clientAddress };
    // An error is told in any case.
    const tooMuch = await callLimits.countRefused(caller).catch(() => null);
    if (!closing) refuse(id, path, method, tooMuch ?? error);
  }

  function startCall(message: CallMessage) {
    const { method: type, params } = message;
    if (silent) {
      // The client sends its subscriptions again on its next connection; about a call it could only guess.
      if (type === 'subscription') return;
      const ended = new ServiceError('UNAUTHORIZED', { detail: 'The token has ended.' });
      return refuse(message.id, params.path, type, ended);
    }
    const refusal = calls.refusal(type);
    if (refusal !== null) return void refuseCounted(message.id, params.path, type, refusal);
    authentication.called();
    const caller = { authentication: authentication.effective, clientAddress };
    const admit = callLimits.count(message, caller);
    hand(message, calls.start(type, params.path, { ...caller, admit, replyHead: replyHead(message) }));
  }

  function hand(message: unknown, call: Call | null) {
    delivered = message;
    if (call === null) tap.deliver();
    else currentCall.run(call, () => tap.deliver());
    delivered = null;
  }

  function take(incoming: Incoming) {
    if (incoming.kind === 'connection-params') {
      if (authentication.state === null) return authentication.present(incoming.params);
      const error = new ServiceError('BAD_REQUEST', { detail: 'The connection parameters were sent before.' });
      return void refuseCounted(null, null, 'connectionParams', error);
    }
    if (incoming.kind === 'stop') return hand(incoming.message, null);
    // Who says that it will introduce itself is not heard before; the deadline ends it.
    if (authentication.state === null && announcesParams) return;
    if (incoming.kind === 'refused') return void refuseCounted(incoming.id, incoming.path, 'call', incoming.error);
    startCall(incoming.message);
  }

  /** Takes messages from `frame` until it is empty or one has to wait for a token to be judged. */
  function takeUntilJudging(frame: Incoming[]) {
    for (let next = frame[0]; next !== undefined && !closing; next = frame[0]) {
      // Keys that could not be had may be back: a client that stays connected cannot find out otherwise.
      if (authentication.judging !== null || (next.kind === 'call' && authentication.retry())) return;
      frame.shift();
      take(next);
    }
  }

  async function takeAfterJudging(frame: Incoming[]) {
    while (frame.length > 0 && !closing) {
      await authentication.judging;
      const next = frame.shift();
      if (next !== undefined) take(next);
      takeUntilJudging(frame);
    }
  }

  function takeInOrder(frame: Incoming[]) {
    if (backlog === null) takeUntilJudging(frame);
    if (frame.length === 0) return;
    socket.pause();
    const current: Promise<void> = (backlog ?? Promise.resolve())
      .then(() => takeAfterJudging(frame))
      .finally(() => {
        if (backlog !== current) return;
        backlog = null;
        readOn();
      });
    backlog = current;
  }

  function readOn() {
    if (backlog === null && !brake.isOn) socket.resume();
  }

  socket.on('message', (data: Buffer, isBinary: boolean) => {
    alive.heard();
    if (closing) return;
    if (isBinary) {
      const error = new ServiceError('BAD_REQUEST', { detail: 'Frames have to be text.' });
      return void refuseCounted(null, null, 'unknown', error);
    }
    const text = data.length === 4 ? data.toString() : '';
    if (text === 'PONG') return;
    if (text === 'PING') return writer.send('PONG');
    const isStranger = authentication.state === null && authentication.judging === null && announcesParams;
    if (!isStranger || data.length <= maxParamsBytes) takeInOrder(readFrame(data, frameLimits));
  });
  socket.on('pong', () => alive.heard());
  socket.on('error', (error) => logger.debug({ requestId: connectionId, err: error }, 'socket failed'));
  socket.once('close', () => {
    closing = true;
    cancelTimer();
    alive.stop();
    brake.stop();
    authentication.stop();
    writer.close();
    calls.abandon();
    tap.end();
  });

  function expire() {
    silent = true;
    cancelTimer = clock.after(lastAnswersMs, () => close(closeUnauthorized, 'the token has ended'));
    settle();
  }

  function close(code: number, reason: string) {
    if (closing) return;
    closing = true;
    silent = true;
    cancelTimer();
    writer.whenEmpty(() => {
      tap.end();
      socket.close(code, reason);
      cancelTimer = clock.after(closeHandshakeMs, () => socket.terminate());
    });
  }

  return {
    get isAuthenticated() {
      return authentication.state?.status === 'verified';
    },
    get buffered() {
      return writer.buffered;
    },
    askToReconnect() {
      reconnectAsked = true;
      settle();
    },
    close,
    terminate: () => socket.terminate(),
  };
}

/**
 * The upgrade request as tRPC may see it: connection parameters are taken before it, and a `Host` that is no host would
 * make it throw.
 */
function plainRequest(request: IncomingMessage): IncomingMessage {
  const plain: Record<string | symbol, unknown> = { url: '/trpc', headers: {} };
  return new Proxy(request, {
    get: (target, key): unknown => (Object.hasOwn(plain, key) ? plain[key] : Reflect.get(target, key, target)),
  });
}
