import { WebSocket } from 'ws';
import { asGlobalWebSocket } from './recorded-sockets.ts';

export interface CutSockets {
  /** To be given to the client in the place of the global one. */
  readonly WebSocket: typeof globalThis.WebSocket;
  readonly opened: () => number;
}

/**
 * WebSockets that go away, without a closing handshake, in the very moment in which so many events have come over them: the
 * first after `cuts[0]`, and so on; what comes later is lost, and later sockets stay. Zero: once the subscription has been
 * asked for.
 */
export function createCutSockets(cuts: readonly number[]): CutSockets {
  let opened = 0;

  class CutWebSocket extends WebSocket {
    #left: number;

    constructor(address: string | URL, protocols?: string | string[]) {
      super(address, protocols ?? []);
      this.#left = cuts[opened] ?? Infinity;
      opened += 1;
      this.on('error', () => undefined);
    }

    override send(data: string, ...rest: []): void {
      super.send(data, ...rest);
      if (this.#left === 0 && data.includes('"method":"subscription"')) this.terminate();
    }

    override emit(name: string, ...values: unknown[]): boolean {
      if (name !== 'message') return super.emit(name, ...values);
      if (this.#left <= 0) return false;
      const heard = super.emit(name, ...values);
      if (String(values[0]).includes('"type":"data"')) this.#left -= 1;
      if (this.#left === 0) this.terminate();
      return heard;
    }
  }

  return { WebSocket: asGlobalWebSocket(CutWebSocket), opened: () => opened };
}
