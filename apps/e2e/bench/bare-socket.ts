import { once } from 'node:events';
import { WebSocket } from 'ws';

/** A bare WebSocket that takes what it is sent: the cheapest client there is, so that it keeps up with any server. */
export interface BareSocket extends Disposable {
  /** Calls back with each message. */
  onMessage(take: (data: Buffer) => void): void;
}

export async function openSocket(url: string, words: readonly object[] = []): Promise<BareSocket> {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  let take: (data: Buffer) => void = () => {};
  socket.on('message', (data: Buffer) => take(data));
  await once(socket, 'open');
  for (const word of words) socket.send(JSON.stringify(word));
  return {
    onMessage(taker) {
      take = taker;
    },
    [Symbol.dispose]() {
      take = () => {};
      socket.terminate();
    },
  };
}

/** The service's door for tRPC, with what a client says first. */
export function openTrpcSocket(
  serviceUrl: string,
  token: string,
  call: { path: string; input: object },
): Promise<BareSocket> {
  const params = { path: call.path, input: { json: call.input } };
  return openSocket(`${serviceUrl.replace('http', 'ws')}/trpc?connectionParams=1`, [
    { method: 'connectionParams', data: { token } },
    { id: 1, jsonrpc: '2.0', method: 'subscription', params },
  ]);
}

export interface ToldEvent {
  readonly type: string;
  readonly text?: string;
}

interface Reply {
  readonly error?: unknown;
  readonly result?: { readonly data?: { readonly json: { readonly data: ToldEvent } } };
}

/** What a frame tells; null for a sign of life or the beginning or end of the subscription. */
export function eventIn(data: Buffer): ToldEvent | null {
  if (data.length <= 'PING'.length) return null;
  const reply = JSON.parse(data.toString()) as Reply | ToldEvent;
  if ('type' in reply) return reply;
  const { error, result } = reply;
  if (error !== undefined) throw new Error(`the service refused: ${JSON.stringify(error)}`);
  return result?.data?.json.data ?? null;
}
