import { expect, vi } from 'vitest';
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

/** The reply to a call; of a subscription the first event or its end. */
export function reply(raw: RawSocket, id: number | string | null): Promise<Frame> {
  return vi.waitFor(() => {
    const frame = raw.frames.find((candidate) => candidate.id === id && candidate.result?.type !== 'started');
    if (frame === undefined) throw new Error(`no reply to ${id} in ${JSON.stringify(raw.frames)}`);
    return frame;
  });
}

/** Until the server has done with everything that was sent before. */
export async function settled(raw: RawSocket): Promise<void> {
  raw.texts.length = 0;
  raw.send('PING');
  await vi.waitFor(() => expect(raw.texts).toContain('PONG'));
}

export function isOpen(raw: RawSocket): boolean {
  return raw.socket.readyState === WebSocket.OPEN;
}
