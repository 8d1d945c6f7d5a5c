import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * The call that the running code works for. tRPC makes one context per WebSocket connection and none at all for requests
 * that it cannot read; this names the call in both cases. For transports and error formatting only: everything else gets
 * what it needs from its context.
 */
export const currentCall = new AsyncLocalStorage<{
  readonly requestId: string;
  /** Takes an input for the log. */
  readonly noteInput?: (input: unknown) => void;
}>();
