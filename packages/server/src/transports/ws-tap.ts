import type { WebSocket } from 'ws';

/** What tRPC's connection handler hears from a socket. */
export interface TapListeners {
  message(data: Buffer, isBinary: boolean): void;
  close(): void;
}

export interface Tap {
  /** The socket as tRPC sees it. */
  readonly socket: WebSocket;
  /** Hands a message to tRPC. */
  deliver(): void;
  /** Tells tRPC that the connection is over, once: its subscriptions end. */
  end(): void;
}

const nothing = Buffer.alloc(0);

/**
 * A socket as tRPC's handler sees it, with us on both sides: it hears only what is delivered, and what it says goes to
 * `send`. That is where limits, pacing and the end of a token live, none of which the handler knows.
 */
export function tapSocket(socket: WebSocket, send: (text: string) => void): Tap {
  const listeners: { [Event in keyof TapListeners]: TapListeners[Event][] } = { message: [], close: [] };
  let open = true;

  const overridden: Record<string | symbol, unknown> = {
    on: addListener,
    once: addListener,
    send,
    // The handler closes what it could not make a context for; ours always can, and closing is ours.
    close: () => {},
    terminate: () => {},
  };

  const tapped: WebSocket = new Proxy(socket, {
    get(target, key): unknown {
      if (key === 'readyState') return open ? target.readyState : target.CLOSED;
      return Object.hasOwn(overridden, key) ? overridden[key] : Reflect.get(target, key, target);
    },
  });

  function addListener(event: string, listener: (...args: unknown[]) => void): WebSocket {
    if (event === 'message' || event === 'close') listeners[event].push(listener);
    return tapped;
  }

  return {
    socket: tapped,
    deliver() {
      for (const listener of listeners.message) listener(nothing, false);
    },
    end() {
      if (!open) return;
      open = false;
      for (const listener of listeners.close) listener();
    },
  };
}
