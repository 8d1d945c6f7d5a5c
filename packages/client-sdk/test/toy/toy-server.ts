import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createHTTPHandler } from '@trpc/server/adapters/standalone';
import { getWSConnectionHandler } from '@trpc/server/adapters/ws';
import { WebSocketServer, type WebSocket } from 'ws';
import { createToyGenerations, type ToyGenerations } from './toy-generations.ts';
import { createToyObservation, type ToyObservation } from './toy-observation.ts';
import { createToyRouter, type ToyContext } from './toy-router.ts';

/** What happens to the socket of one connection. `afterEvents` counts the events sent over it. */
export interface CutPlan {
  afterEvents: number;
  /** Close code; without it the socket is torn down. */
  code?: number;
}

export interface ToyRefusal {
  code: string;
  status: number;
  retryAfter?: number;
  streamId?: string;
  quota?: string;
  resetsAt?: string;
}

export interface ToyServer {
  readonly url: string;
  readonly generations: ToyGenerations;
  readonly observation: ToyObservation;
  /** Applied to the connections that come, in order; later ones are left alone. */
  readonly cuts: CutPlan[];
  /** Tokens that are taken; null takes any. */
  tokens: Set<string> | null;
  /** Every call as `<door> <path>`, in order, with the token it came with. */
  readonly calls: { call: string; token: string; input: unknown }[];
  /** Errors to answer the next calls of a path with, before anything is done. */
  readonly refusals: Map<string, ToyRefusal[]>;
  /** HTTP requests to be dropped: before the procedure runs, or after, without an answer. */
  readonly drops: ('before' | 'after')[];
  connections(): number;
  opened(): number;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A server with real sockets that speaks the service's names and remembers what it was asked. */
export async function startToyServer(): Promise<ToyServer> {
  const generations = createToyGenerations();
  const observation = createToyObservation();
  const calls: ToyServer['calls'] = [];
  const refusals: ToyServer['refusals'] = new Map();
  const cuts: CutPlan[] = [];
  const drops: ToyServer['drops'] = [];
  const state = { tokens: null as Set<string> | null, opened: 0 };
  const router = createToyRouter({
    generations,
    observation,
    calls,
    refusals,
    isTaken: (token) => state.tokens?.has(token) ?? true,
  });

  const handleHttp = createHTTPHandler({
    router,
    basePath: '/trpc/',
    createContext: ({ req }): ToyContext => ({ door: 'http', token: bearer(req) }),
  });
  const http = createServer((req, res) => {
    const drop = drops.shift();
    if (drop === 'before') return void req.socket.destroy();
    if (drop === 'after') {
      res.write = () => true;
      res.end = () => {
        req.socket.destroy();
        return res;
      };
    }
    handleHttp(req, res);
  });

  const wss = new WebSocketServer({ noServer: true });
  const handleSocket = getWSConnectionHandler({
    router,
    wss,
    createContext: ({ info }): ToyContext => ({ door: 'ws', token: info.connectionParams?.['token'] ?? '' }),
  });
  http.on('upgrade', (req, socket, head) => {
    wss.handleUpgrade(req, socket, head, (client) => {
      state.opened += 1;
      const cut = cuts.shift();
      if (cut !== undefined) applyCut(client, cut);
      wss.emit('connection', client, req);
      handleSocket(client, req);
    });
  });
  // Whoever keeps a connection must not find it closed just now.
  http.keepAliveTimeout = 600_000;
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');

  return {
    url: `http://127.0.0.1:${port(http)}`,
    generations,
    observation,
    cuts,
    calls,
    refusals,
    drops,
    get tokens() {
      return state.tokens;
    },
    set tokens(tokens) {
      state.tokens = tokens;
    },
    connections: () => wss.clients.size,
    opened: () => state.opened,
    async [Symbol.asyncDispose]() {
      for (const client of wss.clients) client.terminate();
      http.closeAllConnections();
      http.close();
      await once(http, 'close');
    },
  };
}

/** Cuts once so many events have gone out. Zero: as soon as the client has sent its first frame with a call. */
function applyCut(client: WebSocket, { afterEvents, code }: CutPlan): void {
  let sent = 0;
  const cut = () => (code === undefined ? client.terminate() : client.close(code));
  if (afterEvents === 0) {
    client.on('message', (data: Buffer) => {
      if (data.toString().includes('"subscription"')) cut();
    });
    return;
  }
  const send = client.send.bind(client) as (...args: unknown[]) => void;
  client.send = (...args: unknown[]) => {
    if (sent >= afterEvents) return;
    send(...args);
    if (String(args[0]).includes('"type":"data"')) sent += 1;
    // Torn down only once the frame is out, so that the client has seen exactly so many.
    if (sent >= afterEvents) void nextTurn().then(() => nextTurn().then(cut));
  };
}

function bearer(req: IncomingMessage): string {
  return req.headers.authorization?.replace(/^Bearer /u, '') ?? '';
}

function port(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening');
  return address.port;
}
