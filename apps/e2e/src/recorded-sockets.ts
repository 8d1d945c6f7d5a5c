import { WebSocket, type ClientOptions } from 'ws';
import { createConnectionList, type ConnectionList, type RecordedConnection } from './connection-list.ts';

/** A WebSocket of a client under test, with all that went over it. */
export interface RecordedSocket extends RecordedConnection {
  readonly socket: WebSocket;
  /** Text frames as the client has sent them. */
  readonly sent: readonly string[];
}

export interface RecordedSockets extends ConnectionList<RecordedSocket> {
  /** To be given to the client in the place of the global one. */
  readonly WebSocket: typeof globalThis.WebSocket;
  readonly sockets: readonly WebSocket[];
  /** Cuts the current connection without a closing handshake, as a network that goes away does. */
  cut(): void;
  /** Cuts everything that was ever opened. */
  terminate(): void;
}

export function createRecordedSockets(options: ClientOptions = {}): RecordedSockets {
  const list = createConnectionList<RecordedSocket>();
  const sockets: WebSocket[] = [];

  class RecordedWebSocket extends WebSocket {
    readonly #sent: string[] = [];
    readonly #requested = Promise.withResolvers<void>();

    constructor(address: string | URL, protocols?: string | string[]) {
      super(address, protocols ?? [], options);
      const open = Promise.withResolvers<void>();
      const subscribed = Promise.withResolvers<void>();
      // A cut while it connects is an error event, which the client follows by its close.
      this.on('error', () => undefined);
      this.once('open', open.resolve);
      this.on('message', (data: Buffer) => {
        if (data.includes('"type":"started"')) subscribed.resolve();
      });
      sockets.push(this);
      list.add({
        socket: this,
        sent: this.#sent,
        opened: open.promise,
        requested: this.#requested.promise,
        subscribed: subscribed.promise,
      });
    }

    override send(data: string, ...rest: []): void {
      this.#sent.push(data);
      if (data.includes('"method":"subscription"')) this.#requested.resolve();
      super.send(data, ...rest);
    }
  }

  return {
    ...list,
    WebSocket: asGlobalWebSocket(RecordedWebSocket),
    sockets,
    cut: () => sockets.at(-1)?.terminate(),
    terminate: () => {
      for (const socket of sockets) socket.terminate();
    },
  };
}

/** The part of the interface that clients use is the same. */
export function asGlobalWebSocket(implementation: unknown): typeof globalThis.WebSocket {
  if (!isWebSocketClass(implementation)) throw new Error('this is no WebSocket');
  return implementation;
}

function isWebSocketClass(value: unknown): value is typeof globalThis.WebSocket {
  return typeof value === 'function' && 'CONNECTING' in value && 'CLOSED' in value;
}
