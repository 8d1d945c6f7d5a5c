/** What an operation under an idempotency key resolves to. */
export interface Replayable<Output> {
  readonly output: Output;
  /** Whether the key stood for it already, so that nothing was done anew. */
  readonly replayed: boolean;
}
