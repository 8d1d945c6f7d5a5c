import { ConnectionSevered } from '../platform/connection-severed.ts';

/** The way back to a client. */
export interface Outbound {
  /**
   * Undefined when there is room for one more message now; otherwise resolves when there is, or when the signal aborts or
   * the connection ends. Each permission is for one message.
   */
  ready(signal?: AbortSignal): Promise<void> | undefined;
  /** Ends the connection at once, without a word. */
  sever(): void;
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
      async function pull() {
        const result = await nextOrSever(iterator, outbound);
        if (result.done !== true) await outbound.ready(signal);
        return result;
      }
      return {
        next() {
          const result = pull();
          // For event streams tRPC pulls ahead: when the client leaves meanwhile, nobody waits for this any more, and a
          // rejection would end the process.
          result.catch(() => {});
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

async function nextOrSever<T>(iterator: AsyncIterator<T>, outbound: Outbound): Promise<IteratorResult<T>> {
  try {
    return await iterator.next();
  } catch (error) {
    if (error instanceof ConnectionSevered) outbound.sever();
    throw error;
  }
}

export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
