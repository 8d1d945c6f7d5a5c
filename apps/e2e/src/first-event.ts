import { createParser } from 'eventsource-parser';

/** How a stream of events begins. */
export interface StreamBeginning {
  readonly status: number;
  /** Up to the first event; of an answer that is no stream, or ends without an event, all of it. */
  readonly text: string;
  /** The first event; null where there is none. */
  readonly data: unknown;
  /** What tRPC tells in the place of a first event; null where it does not. */
  readonly error: unknown;
}

/** Opens a stream of events, over whichever door, and leaves once the first of them has come. */
export async function readFirstEvent(url: string, token: string | null): Promise<StreamBeginning> {
  const headers = { accept: 'text/event-stream', ...(token !== null && { authorization: `Bearer ${token}` }) };
  const { status, body } = await fetch(url, { headers });
  const told: unknown[] = [];
  let error: unknown = null;
  const parser = createParser({
    onEvent({ event, data }) {
      if (event === 'serialized-error') error = JSON.parse(data);
      else if (event !== 'connected') told.push(JSON.parse(data));
    },
  });
  const decoder = new TextDecoder();
  let text = '';
  const bytes: AsyncIterable<Uint8Array> | null = body;
  for await (const some of bytes ?? []) {
    const piece = decoder.decode(some, { stream: true });
    text += piece;
    parser.feed(piece);
    if (told.length > 0) break;
  }
  return { status, text, data: told[0] ?? null, error };
}
