import type { TRPCClient } from '@trpc/client';
import type { AppRouter } from './app-router.generated.ts';
import { createAccount, type Account } from './resources/account.ts';
import { createMessages, type Messages } from './resources/messages.ts';
import { createModels, type Models } from './resources/models.ts';
import type { ResourceContext } from './resources/resource-context.ts';
import { createSessions, type Sessions } from './resources/sessions.ts';
import { createSupervisor, type Supervisor } from './resources/supervisor.ts';
import { createSystem, type System } from './resources/system.ts';
import { jitteredDelay, type RetryDelay } from './transport/back-off.ts';
import { call } from './transport/call.ts';
import { createTokenSource, type TokenProvider } from './transport/token-source.ts';
import { createTransport } from './transport/transport.ts';

export interface ChatClientOptions {
  /** The root of the service, as `https://chat.example.org`. */
  url: string;
  /** The user's JWT, or a function that gets one; only a function lets the client outlive a token. */
  token: TokenProvider;
  /** For one call with its repeats, in milliseconds; `messages.send` has its own. @default 30_000 */
  timeoutMs?: number;
  /** Automatic repeats of a call, where they are safe. @default 2 */
  maxRetries?: number;
  /**
   * Attempts in a row to get back to a stream before it fails with a `ConnectionError`; at most 5 of them before its
   * first event. @default 12, which takes about a minute
   */
  maxReconnects?: number;
  /** Pause before each repeat and reconnect. @default 250 ms doubling to 8 s, less up to half of it at random */
  retryDelayMs?: RetryDelay;
  /** @default the global `fetch` */
  fetch?: typeof fetch;
  /** @default the global `WebSocket` (browsers, Node 22 and later) */
  WebSocket?: typeof WebSocket;
}

/** The service for one user. */
export interface ChatClient extends AsyncDisposable {
  readonly sessions: Sessions;
  readonly messages: Messages;
  readonly models: Models;
  readonly account: Account;
  readonly supervisor: Supervisor;
  readonly system: System;
  /**
   * The raw tRPC client over the same connections and tokens, for everything that the resources do not wrap. It rejects
   * with `TRPCClientError`, which `toChatError` translates; its calls are repeated after a refused token only.
   */
  readonly trpc: TRPCClient<AppRouter>;
  /** Closes the connection. Streams that are still watched fail; their generations go on. */
  close(): Promise<void>;
}

/**
 * Creates a client for one user. It connects when it is first used.
 *
 * @example
 * await using chat = createChatClient({ url: 'http://127.0.0.1:3000', token });
 * const { sessionId } = await chat.sessions.create();
 * for await (const event of chat.messages.stream({ sessionId, message: 'Hello' })) {
 *   if (event.type === 'chunk') process.stdout.write(event.text);
 * }
 */
export function createChatClient(options: ChatClientOptions): ChatClient {
  const { timeoutMs = 30_000, maxRetries = 2, maxReconnects = 12, retryDelayMs = jitteredDelay } = options;
  const transport = createTransport({
    url: options.url,
    tokens: createTokenSource(options.token),
    retryDelayMs,
    ...(options.fetch !== undefined && { fetch: options.fetch }),
    ...(options.WebSocket !== undefined && { WebSocket: options.WebSocket }),
  });
  const { trpc } = transport;
  const context: ResourceContext = {
    trpc,
    newKey: () => crypto.randomUUID(),
    call: (attempt, how) =>
      call(attempt, {
        repeatable: how.repeatable,
        ...(how.options !== undefined && { options: how.options }),
        defaults: { timeoutMs: how.timeoutMs ?? timeoutMs, maxRetries, retryDelayMs },
      }),
  };
  const watchOptions = { transport, maxReconnects, retryDelayMs };
  const close = () => transport.close();
  return {
    sessions: createSessions(context),
    messages: createMessages(context, watchOptions),
    models: createModels(context),
    account: createAccount(context),
    supervisor: createSupervisor(context, watchOptions),
    system: createSystem(context),
    trpc,
    close,
    [Symbol.asyncDispose]: close,
  };
}
