import { WebSocket } from 'ws';
import type { World } from './world.ts';

export interface RawSocket {
  readonly socket: WebSocket;
  readonly frames: Frame[];
  readonly texts: string[];
  readonly closed: Promise<{ code: number; reason: string }>;
  send(message: unknown): void;
}

export interface Frame {
  id?: number | string | null;
  method?: string;
  result?: { type?: string; id?: string; data?: { json?: unknown } };
  error?: { json: { code: number; message: string; data: Record<string, unknown> } };
}

/** A WebSocket of our own; with a token it introduces itself as the stock client does. */
export async function rawSocket(
  world: World,
  {
    token,
    query = '?connectionParams=1',
    headers = {},
  }: { token?: string; query?: string; headers?: Record<string, string> } = {},
): Promise<RawSocket> {
  const socket = new WebSocket(`${world.wsUrl}${query}`, { headers, perMessageDeflate: false });
  const frames: Frame[] = [];
  const texts: string[] = [];
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  socket.on('message', (data: Buffer) => {
    const text = data.toString();
    texts.push(text);
    if (text.startsWith('{')) frames.push(JSON.parse(text) as Frame);
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  socket.on('error', () => {});
  const send = (message: unknown) => socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  if (token !== undefined) send({ method: 'connectionParams', data: { token } });
  return { socket, frames, texts, closed, send };
}

export function call(id: number | string, method: string, path: string, json?: unknown, more: object = {}) {
  return { id, method, params: { path, ...(json !== undefined && { input: { json } }), ...more } };
}

/** Until what has come is enough; rejects when the socket is closed before. */
export async function until({ socket, frames }: RawSocket, isEnough: () => boolean): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const look = () => {
    if (isEnough()) resolve();
    else if (socket.readyState === WebSocket.CLOSED)
      reject(new Error(`closed after ${JSON.stringify(frames.slice(-5))}`));
  };
  socket.on('message', look).on('close', look);
  look();
  await promise.finally(() => socket.off('message', look).off('close', look));
}

export const untilFrames = (raw: RawSocket, count: number) => until(raw, () => raw.frames.length >= count);

/** The reply to a call; of a subscription the first event or its end. */
export async function reply(raw: RawSocket, id: number | string | null): Promise<Frame> {
  let frame: Frame | undefined;
  await until(raw, () => {
    frame = raw.frames.find((candidate) => candidate.id === id && candidate.result?.type !== 'started');
    return frame !== undefined;
  });
  return frame ?? {};
}

/** Until the server has done with everything that was sent before. */
export async function settled(raw: RawSocket): Promise<void> {
  raw.texts.length = 0;
  raw.send('PING');
  await until(raw, () => raw.texts.includes('PONG'));
}

/** Lets time pass in steps short enough that the pings of the sockets are answered in between. */
export async function pass(world: World, sockets: readonly RawSocket[], milliseconds: number): Promise<void> {
  for (let left = milliseconds; left > 0; left -= 5000) {
    await world.clock.advance(Math.min(left, 5000));
    for (const raw of sockets) await settled(raw);
  }
}

export function isOpen(raw: RawSocket): boolean {
  return raw.socket.readyState === WebSocket.OPEN;
}
