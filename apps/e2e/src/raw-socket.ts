import { once } from 'node:events';
import { WebSocket, type ClientOptions } from 'ws';

/** A message of the server to one call, as it came. */
export interface RawReply {
  readonly id: number | string | null;
  readonly result?: { readonly type: string; readonly id?: string; readonly data?: { readonly json: unknown } };
  readonly error?: { readonly json: { readonly message: string; readonly data: Record<string, unknown> } };
}

/** A WebSocket that speaks tRPC's frames by hand. */
export interface RawSocket extends AsyncDisposable {
  readonly socket: WebSocket;
  /** Everything that came, but for pings. */
  readonly replies: readonly RawReply[];
  /** Sends a call and resolves with the first reply to it. */
  call(type: 'query' | 'mutation' | 'subscription', path: string, input: unknown): Promise<RawReply>;
  /** Resolves with the close code. */
  readonly closed: Promise<number>;
}

/** @param params Sent as connection parameters; null sends none and does not announce any. */
export async function openRawSocket(
  url: string,
  params: Readonly<Record<string, unknown>> | null,
  options: ClientOptions = {},
): Promise<RawSocket> {
  const address = `${url.replace(/^http/u, 'ws')}/trpc${params === null ? '' : '?connectionParams=1'}`;
  const socket = new WebSocket(address, options);
  const replies: RawReply[] = [];
  const waiting = new Map<number, (reply: RawReply) => void>();
  let calls = 0;
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  socket.on('message', (data: Buffer) => {
    const text = data.toString();
    if (text === 'PING') return void socket.send('PONG');
    if (text === 'PONG') return;
    const reply = JSON.parse(text) as RawReply;
    replies.push(reply);
    // The start of a subscription says nothing yet.
    if (typeof reply.id !== 'number' || reply.result?.type === 'started') return;
    waiting.get(reply.id)?.(reply);
    waiting.delete(reply.id);
  });
  await once(socket, 'open');
  if (params !== null) socket.send(JSON.stringify({ method: 'connectionParams', data: params }));
  return {
    socket,
    replies,
    closed,
    call(type, path, input) {
      calls += 1;
      const id = calls;
      const reply = new Promise<RawReply>((resolve, reject) => {
        waiting.set(id, resolve);
        void closed.then((code) => reject(new Error(`the socket was closed (${code}) before call ${id} was answered`)));
      });
      // Whoever waits for it is told; a test that has failed before waits no more.
      reply.catch(() => undefined);
      socket.send(JSON.stringify({ id, method: type, params: { path, input: { json: input } } }));
      return reply;
    },
    async [Symbol.asyncDispose]() {
      if (socket.readyState === WebSocket.CLOSED) return;
      socket.terminate();
      await closed;
    },
  };
}
