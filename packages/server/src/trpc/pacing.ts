/** The way back to a client. */
export interface Outbound {
  /**
   * Undefined when there is room for one more message now; otherwise resolves when there is, or when the signal aborts or
   * the connection ends. Each permission is for one message.
   */
  ready(signal?: AbortSignal): Promise<void> | undefined;
}

/**
 * Hands on what `source` yields, each event only once there is room for it: a reader that does not read holds back its
 * own iterator and nothing else.
 */
export function paced<T>(
  source: AsyncIterable<T>,
  outbound: Outbound,
  signal: AbortSignal | undefined,
): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = source[Symbol.asyncIterator]();
      return {
        async next() {
          const result = await iterator.next();
          if (result.done !== true) await outbound.ready(signal);
          return result;
        },
        async return() {
          await iterator.return?.();
          return { done: true, value: undefined };
        },
      };
    },
  };
}

export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
