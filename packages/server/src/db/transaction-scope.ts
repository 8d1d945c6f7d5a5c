import { AsyncLocalStorage } from 'node:async_hooks';

/** A handle was used where it must not be: a defect of the caller, the same on both databases. */
export class TransactionMisuseError extends Error {
  override readonly name = 'TransactionMisuseError';
}

/**
 * One transaction from its first statement to its last. Once `close` was called, or after a statement failed, nothing
 * more runs in it: Postgres has then given up the transaction anyway, and SQLite would go on as if nothing were wrong.
 */
export class TransactionScope {
  #open = true;
  #failure: { readonly error: unknown } | undefined;

  get open(): boolean {
    return this.#open;
  }

  close(): void {
    this.#open = false;
  }

  /** Called before each statement. */
  assertUsable(): void {
    if (!this.#open) throw new TransactionMisuseError('a statement was started in a transaction that is over');
    this.throwFailure();
  }

  /** Called when a statement failed. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  /** Called before the commit: work that swallowed the error of a statement must not commit the rest. */
  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

/** Knows, for one database, which transaction the code that runs belongs to. */
export class TransactionScopes {
  readonly #current = new AsyncLocalStorage<TransactionScope>();

  /** @throws TransactionMisuseError while a transaction is open in this asynchronous context. */
  assertOutside(attempt: string): void {
    if (this.#current.getStore()?.open !== true) return;
    throw new TransactionMisuseError(`${attempt} inside a transaction: use the handle that the transaction was given`);
  }

  async run<Result>(scope: TransactionScope, work: () => Promise<Result>): Promise<Result> {
    try {
      return await this.#current.run(scope, work);
    } finally {
      scope.close();
    }
  }
}
