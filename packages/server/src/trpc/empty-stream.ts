/** What a subscription returns when there is nothing (more) to send: no event on any door, and 204 on the REST one. */
export const emptyStream: AsyncIterable<never, void, unknown> = {
  [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: true, value: undefined }) }),
};
