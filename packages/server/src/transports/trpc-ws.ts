import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { errorTable } from '@chat-service/shared/errors';
import { ServiceError } from '../platform/service-error.ts';
import { createBegunMessages } from './begun-messages.ts';
import { hasTokenInUrl, tokenInUrl } from './credentials.ts';
import type { OriginPolicy } from './origin-policy.ts';
import { endWithProblem } from './problem.ts';
import { logRequest, newRecord, pathOf, requestIdFrom } from './request-log.ts';
import { trpcEndpoint } from './trpc-http.ts';
import { serveConnection, type WsConnection, type WsConnectionOptions } from './ws-connection.ts';
import { makeRoom } from './ws-strangers.ts';

export interface TrpcWsOptions extends Omit<WsConnectionOptions, 'begunMessages'> {
  readonly origins: OriginPolicy;
  readonly clientAddress: (request: IncomingMessage) => string;
}

export interface TrpcWs {
  readonly connections: ReadonlySet<WsConnection>;
  /** Bytes of messages that have been begun and are not whole. */
  readonly begunBytes: number;
  /** Takes over an upgrade request, or refuses it with problem details. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Asks every client to go elsewhere, each as soon as it waits for nothing here. */
  askToReconnect(): void;
  /** Closes every connection; those that do not say goodbye in time are cut. */
  close(): Promise<void>;
}

/**
 * `ws` closes a connection over a larger frame, and its client would come back with it for ever: up to this factor of the
 * limit a frame is read and refused call by call.
 */
const hardLimitFactor = 4;
const slackBytes = 64 * 1024;
/** Service restart: clients come back after a moment. */
const closeRestart = 1012;
const closeHandshakeMs = 1000;

/** Serves tRPC on WebSockets, on the port of the HTTP server that hands its upgrades here. */
export function createTrpcWs(options: TrpcWsOptions): TrpcWs {
  const { logger, clock, origins } = options;
  const maxPayload = hardLimitFactor * options.maxBodyBytes + slackBytes;
  const server = new WebSocketServer({
    noServer: true,
    maxPayload,
    perMessageDeflate: false,
    clientTracking: false,
    // The first word is the client's, and many frames may come in one read.
    allowSynchronousEvents: true,
  });
  const connections = new Set<WsConnection>();
  const begunMessages = createBegunMessages({ longestMessage: maxPayload });
  let closing = false;
  let emptied = () => {};

  function refusal(request: IncomingMessage): ServiceError | null {
    if (pathOf(request.url).replace(/\/$/u, '') !== trpcEndpoint) return new ServiceError('NOT_FOUND');
    if (hasTokenInUrl(request.url)) return tokenInUrl();
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      return new ServiceError('BAD_REQUEST', { detail: 'Only an upgrade to websocket is understood.' });
    }
    const { origin, host } = request.headers;
    if (!origins.allows(origin, host)) return new ServiceError('FORBIDDEN', { detail: 'This origin may not connect.' });
    if (closing) return new ServiceError('SHUTTING_DOWN');
    return makeRoom(connections) ? null : new ServiceError('UNAVAILABLE', { retryAfter: 5 });
  }

  return {
    connections,
    get begunBytes() {
      return begunMessages.bytes;
    },
    upgrade(request, socket, head) {
      const requestId = requestIdFrom(request.headers['x-request-id']);
      const ignoreErrors = () => {};
      socket.on('error', ignoreErrors);
      const refused = refusal(request);
      const record = newRecord(requestId, pathOf(request.url), options);
      record.code = refused?.code ?? null;
      if (refused !== null) {
        endWithProblem(socket, refused, requestId);
        logRequest(logger, clock, record, {
          door: 'websocket',
          method: 'UPGRADE',
          status: errorTable[refused.code].status,
        });
        return;
      }
      server.handleUpgrade(request, socket, head, (webSocket) => {
        socket.off('error', ignoreErrors);
        const clientAddress = options.clientAddress(request);
        const peer = { socket: webSocket, stream: socket, server, request, connectionId: requestId, clientAddress };
        const connection = serveConnection({ ...options, begunMessages }, peer);
        connections.add(connection);
        webSocket.once('close', () => {
          connections.delete(connection);
          if (connections.size === 0) emptied();
        });
        logRequest(logger, clock, record, { door: 'websocket', method: 'UPGRADE', status: 101 });
      });
    },
    askToReconnect() {
      for (const connection of connections) connection.askToReconnect();
    },
    async close() {
      closing = true;
      if (connections.size === 0) return;
      const gone = new Promise<void>((resolve) => {
        emptied = resolve;
      });
      for (const connection of connections) connection.close(closeRestart, 'the service is going down');
      // Real time on purpose: whatever the clock, a process that ends must get there.
      const timer = setTimeout(() => {
        for (const connection of connections) connection.terminate();
      }, closeHandshakeMs);
      await gone;
      clearTimeout(timer);
    },
  };
}
