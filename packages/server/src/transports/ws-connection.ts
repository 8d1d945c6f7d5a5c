import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { AnyTRPCRouter } from '@trpc/server';
import { getWSConnectionHandler } from '@trpc/server/adapters/ws';
import type { WebSocket, WebSocketServer } from 'ws';
import type { Authenticate } from '../clients/auth/principal.ts';
import { addressGroup } from '../platform/address-group.ts';
import type { Clock } from '../platform/clock.ts';
import type { Logger, PayloadMode } from '../platform/logger.ts';
import { ServiceError } from '../platform/service-error.ts';
import type { RequestContext } from '../trpc/context.ts';
import { currentCall } from '../trpc/current-call.ts';
import { toServiceError, toWireError } from '../trpc/error-mapping.ts';
import type { BegunMessages } from './begun-messages.ts';
import type { CallLimits } from './call-limits.ts';
import type { InFlight } from './in-flight.ts';
import { logCause } from './request-log.ts';
import { maxBatchSize } from './trpc-http.ts';
import { createWsAuthentication } from './ws-authentication.ts';
import { createWsBrake } from './ws-brake.ts';
import { createWsCallLimits } from './ws-call-limits.ts';
import { createWsCalls, type Call } from './ws-calls.ts';
import { FrameConnection } from './ws-frame-connection.ts';
import { readFrame, type CallId, type CallMessage } from './ws-frames.ts';
import { createWsIntake } from './ws-intake.ts';
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
  /** Of all connections as well. */
  readonly begunMessages: BegunMessages;
  /** Told when a reader is cut for not reading. */
  readonly onCut: () => void;
}

export interface WsPeer {
  readonly socket: WebSocket;
  /** What the WebSocket speaks through. */
  readonly stream: Duplex;
  readonly server: WebSocketServer;
  readonly request: IncomingMessage;
  readonly connectionId: string;
  readonly clientAddress: string;
}

/** A WebSocket connection as the server sees it. */
export interface WsConnection {
  readonly isAuthenticated: boolean;
  /** Where it comes from: an address, or a network that is one client's. */
  readonly client: string;
  /** Bytes that the client has not taken yet. */
  readonly buffered: number;
  /** Asks the client to go elsewhere, as soon as it waits for nothing here. */
  askToReconnect(): void;
  /** Says goodbye with a close code, after what was already said. */
  close(code: number, reason: string): void;
  /** Ends it at once in favour of others: it has shown no token. */
  makeWay(): void;
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
 * Who owes more has to take something before anything more of them is: twice what events are paced by, so that a slow
 * reader of events is still heard, and half of what a connection is cut at, so that what was begun has its place.
 */
const maxOwedBytes = 512 * 1024;

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
  const brake = createWsBrake({ clock, onChange: readOrPause });
  const callLimits = createWsCallLimits(options.router, options.limits, brake.refused);
  const announcesParams = /[?&]connectionParams=1(?:&|$)/u.test(peer.request.url ?? '');
  /** From here on subscriptions are silent: an error or an end would be taken for their own. */
  let silent = false;
  let closing = false;
  let reconnectAsked = false;
  /** What is owed may be one reply, which tells nothing of whether the client keeps up. */
  let longReplyUnderWay = false;
  let cancelTimer = () => {};
  /** What tRPC is handed next; it decodes nothing itself. */
  let delivered: unknown = null;

  const writer = new WsWriter(new FrameConnection(socket, peer.stream), {
    clock,
    stallMs: options.streamStallMs,
    onCut() {
      closing = true;
      onCut();
    },
  });
  const begun = options.begunMessages.watch(peer.stream, () => {
    logger.debug({ requestId: connectionId }, 'cut a socket: too much was begun and not finished');
    socket.terminate();
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
    onVerified: (userId) => begun.isOf(userId),
    onExpired: expire,
  });
  const alive = keepAlive({
    clock,
    ping() {
      writer.send('PING');
      if (!closing) socket.ping();
    },
    // A client that is not read cannot be heard either.
    isTaken: () => writer.buffered === 0 && !mayNotRead(),
    onDead: () => socket.terminate(),
  });
  const tap = tapSocket(socket, (text) => {
    if (silent && calls.current()?.type === 'subscription') return;
    longReplyUnderWay ||= text.length > maxOwedBytes / 2;
    writer.send(text);
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
    if (silent && !closing && calls.unanswered === 0 && !intake.isBehind)
      close(closeUnauthorized, 'the token has ended');
    if (!reconnectAsked || closing || calls.size > 0 || intake.isBehind) return;
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

  function startCall(message: CallMessage): Promise<void> | undefined {
    const { method: type, params } = message;
    if (silent) {
      // The client sends its subscriptions again on its next connection; about a call it could only guess.
      if (type === 'subscription') return;
      const ended = new ServiceError('UNAUTHORIZED', { detail: 'The token has ended.' });
      return void refuse(message.id, params.path, type, ended);
    }
    const refusal = calls.refusal(type);
    if (refusal !== null) return refuseCounted(message.id, params.path, type, refusal);
    authentication.called();
    const caller = { authentication: authentication.effective, clientAddress };
    const admit = callLimits.count(message, caller);
    hand(message, calls.start(type, params.path, { ...caller, admit, replyHead: replyHead(message) }));
    return undefined;
  }

  function hand(message: unknown, call: Call | null) {
    delivered = message;
    if (call === null) tap.deliver();
    else currentCall.run(call, () => tap.deliver());
    delivered = null;
  }

  const intake = createWsIntake({
    obstacle(next, isNew) {
      // Keys that could not be had may be back: a client that stays connected cannot find out otherwise.
      if (isNew && next.kind === 'call' && authentication.judging === null) authentication.retry();
      if (authentication.judging !== null) return authentication.judging;
      if (writer.buffered <= maxOwedBytes) {
        longReplyUnderWay = false;
        return undefined;
      }
      // A stop asks for less, and who is sent a long reply goes on calling.
      return next.kind === 'stop' || (next.kind === 'call' && longReplyUnderWay) ? undefined : writer.ready();
    },
    take(incoming) {
      if (incoming.kind === 'connection-params') {
        if (authentication.state === null) return void authentication.present(incoming.params);
        const error = new ServiceError('BAD_REQUEST', { detail: 'The connection parameters were sent before.' });
        return refuseCounted(null, null, 'connectionParams', error);
      }
      if (incoming.kind === 'stop') return void hand(incoming.message, null);
      // Who says that it will introduce itself is not heard before; the deadline ends it.
      if (authentication.state === null && announcesParams) return;
      if (incoming.kind === 'call') return startCall(incoming.message);
      return refuseCounted(incoming.id, incoming.path, 'call', incoming.error);
    },
    isOver: () => closing,
    onChange() {
      readOrPause();
      settle();
    },
  });

  function mayNotRead(): boolean {
    return intake.isBehind || brake.isOn;
  }

  /** At the end a client is read for its goodbye alone. */
  function readOrPause() {
    if (mayNotRead() && !closing) socket.pause();
    else socket.resume();
  }

  socket.on('message', (data: Buffer, isBinary: boolean) => {
    alive.heard();
    begun.heard();
    if (closing) return;
    if (isBinary) {
      const error = new ServiceError('BAD_REQUEST', { detail: 'Frames have to be text.' });
      return intake.add([{ kind: 'refused', id: null, path: null, error }]);
    }
    const text = data.length === 4 ? data.toString() : '';
    if (text === 'PONG') return;
    if (text === 'PING') return writer.send('PONG');
    const isStranger = authentication.state === null && authentication.judging === null && announcesParams;
    if (!isStranger || data.length <= maxParamsBytes) intake.add(readFrame(data, frameLimits));
  });
  socket.on('pong', (sign: Buffer) => {
    alive.heard();
    // That of a keep-alive carries nothing.
    if (sign.length > 0) writer.heard(Number(sign.toString()));
  });
  socket.on('error', (error) => logger.debug({ requestId: connectionId, err: error }, 'socket failed'));
  socket.once('close', () => {
    closing = true;
    cancelTimer();
    alive.stop();
    brake.stop();
    authentication.stop();
    begun.release();
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
    // Whoever takes the last words too slowly does not put off the end.
    cancelTimer = clock.after(lastAnswersMs, () => socket.terminate());
    writer.whenEmpty(() => {
      cancelTimer();
      tap.end();
      socket.close(code, reason);
      readOrPause();
      cancelTimer = clock.after(closeHandshakeMs, () => socket.terminate());
    });
  }

  return {
    get isAuthenticated() {
      return authentication.state?.status === 'verified';
    },
    client: addressGroup(clientAddress),
    get buffered() {
      return writer.buffered;
    },
    askToReconnect() {
      reconnectAsked = true;
      settle();
    },
    close,
    makeWay() {
      logger.debug({ requestId: connectionId, clientAddress }, 'cut a socket: too many have shown no token');
      socket.terminate();
    },
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
