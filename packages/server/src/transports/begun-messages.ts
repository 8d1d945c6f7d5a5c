import type { Duplex } from 'node:stream';

/** What anyone may have begun to say: connection parameters, and what comes with them in one read. */
const freeBytes = 96 * 1024;
/** What those who share may have begun together. */
const sharedBytes = 32 * 1024 * 1024;

/**
 * Bounds what messages cost that are not whole, which a WebSocket keeps until they are, be it never: of those who have
 * shown no valid token all together, of a user on all connections.
 */
export interface BegunMessages {
  /** Bytes of all of them. */
  readonly bytes: number;
  /** Counts what comes on a connection, and tells when it has begun much, and together with others too much. */
  watch(stream: Duplex, onTooMuch: () => void): BegunMessage;
}

/** What a connection has begun to say. */
export interface BegunMessage {
  /** It is whole. */
  heard(): void;
  /** It is this user's, and no stranger's any more. */
  isOf(userId: string): void;
  /** The connection is over. */
  release(): void;
}

/** Those who share. */
interface Group {
  connections: number;
  bytes: number;
}

/** @param longestMessage that is read at all, in bytes: whoever shares with nobody can say it in any case */
export function createBegunMessages({ longestMessage }: { readonly longestMessage: number }): BegunMessages {
  const mostBytes = Math.max(sharedBytes, 2 * longestMessage);
  const strangers: Group = { connections: 0, bytes: 0 };
  const users = new Map<string, Group>();
  let total = 0;

  return {
    get bytes() {
      return total;
    },
    watch(stream, onTooMuch) {
      let group = strangers;
      let userId: string | null = null;
      let bytes = 0;

      function count(more: number) {
        bytes += more;
        total += more;
        group.bytes += more;
      }
      function leave() {
        count(-bytes);
        group.connections -= 1;
        if (userId !== null && group.connections === 0) users.delete(userId);
      }
      const onData = (chunk: Buffer) => {
        count(chunk.length);
        if (bytes > freeBytes && group.bytes > mostBytes) onTooMuch();
      };

      // Before the WebSocket's own listener: what that hears in this piece is counted by then.
      stream.prependListener('data', onData);
      group.connections += 1;
      return {
        heard: () => count(-bytes),
        isOf(user) {
          const begun = bytes;
          leave();
          userId = user;
          group = users.get(user) ?? { connections: 0, bytes: 0 };
          users.set(user, group);
          group.connections += 1;
          count(begun);
        },
        release() {
          stream.off('data', onData);
          leave();
        },
      };
    },
  };
}
