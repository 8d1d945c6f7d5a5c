import type { TRPCClient } from '@trpc/client';
import type { AppRouter } from '../app-router.generated.ts';
import { ConnectionError, NotFoundError, UnavailableError } from '../errors.ts';
import { toChatError } from '../read-error.ts';
import type { RequestOptions } from '../transport/call.ts';

/** What a resource needs to carry out its calls. */
export interface ResourceContext {
  readonly trpc: TRPCClient<AppRouter>;
  readonly call: <Output>(
    attempt: (signal: AbortSignal) => Promise<Output>,
    how: { repeatable: boolean; options: RequestOptions | undefined; timeoutMs?: number },
  ) => Promise<Output>;
  /** A fresh idempotency key. */
  readonly newKey: () => string;
}

/** The request for the page at a cursor, which takes the place of the page number; null: the page asked for. */
export function at<Input extends object>(input: Input, cursor: string | null): Input {
  return cursor === null ? input : { ...input, page: undefined, cursor };
}

/** A delete whose answer was lost may find nothing when it is repeated: then it is done. */
export function deleted(attempt: (signal: AbortSignal) => Promise<unknown>): (signal: AbortSignal) => Promise<void> {
  let uncertain = false;
  return async (signal) => {
    try {
      await attempt(signal);
    } catch (cause) {
      const error = toChatError(cause);
      if (uncertain && error instanceof NotFoundError) return;
      uncertain ||= error instanceof ConnectionError || error instanceof UnavailableError;
      throw error;
    }
  };
}
