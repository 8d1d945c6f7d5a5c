/** One connection of a client under test. */
export interface RecordedConnection {
  readonly opened: Promise<void>;
  /** Resolves when the client has asked on it for a subscription. */
  readonly requested: Promise<void>;
  /** Resolves when the server has said on it that a subscription runs. */
  readonly subscribed: Promise<void>;
}

/** The connections that a client has opened, in order. */
export interface ConnectionList<T extends RecordedConnection> {
  readonly connections: readonly T[];
  /** The connection with this index, once the client has begun it. */
  connection(index: number): Promise<T>;
}

export function createConnectionList<T extends RecordedConnection>(): ConnectionList<T> & { add(connection: T): void } {
  const connections: T[] = [];
  const waiting: { index: number; resolve: (connection: T) => void }[] = [];
  return {
    connections,
    connection(index) {
      const there = connections[index];
      return there === undefined
        ? new Promise((resolve) => void waiting.push({ index, resolve }))
        : Promise.resolve(there);
    },
    add(connection) {
      connections.push(connection);
      for (const { index, resolve } of waiting) if (index === connections.length - 1) resolve(connection);
    },
  };
}
