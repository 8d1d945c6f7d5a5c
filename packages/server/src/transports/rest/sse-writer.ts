import { isTrackedEnvelope } from '@trpc/server';
import type { Clock } from '../../platform/clock.ts';

/** Proxies cut a response that is silent for a minute, some after half of one. */
const commentMs = 15_000;

/** Headers of an event stream: nothing between server and client may keep or change it. */
export const eventStreamHeaders = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
} as const;

/** Sent before the first event, so that headers and a byte are on the wire at once. */
export const eventStreamPrefix = ': stream\nretry: 1000\n\n';

/**
 * The events of a subscription as server-sent events: `id`, `event` (the type) and one line of JSON, which no text of a
 * model can break out of. A comment is sent whenever nothing else is for 15 s. It is pulled: a reader that does not read
 * holds back its own source and nothing else. When the source fails, `onFailure` is told, the stream ends without a
 * word, and the client resumes after the last id.
 */
export function eventStreamBody(
  source: AsyncIterable<unknown>,
  { clock, onFailure }: { clock: Clock; onFailure: (cause: unknown) => void },
): ReadableStream<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  let pending: Promise<IteratorResult<unknown>> | null = null;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          pending ??= iterator.next();
          const { promise: silence, resolve } = Promise.withResolvers<null>();
          const cancel = clock.after(commentMs, () => resolve(null));
          const result = await Promise.race([pending, silence]).finally(cancel);
          if (result === null) return controller.enqueue(encoder.encode(':\n\n'));
          pending = null;
          if (result.done === true) return controller.close();
          controller.enqueue(eventBytes(result.value));
        } catch (error) {
          onFailure(error);
          throw error;
        }
      },
      async cancel() {
        await iterator.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}

/** What was written last: all who watch are told of an event in one turn, and it is serialised once for them. */
let written: { readonly id: string; readonly data: unknown; readonly bytes: Uint8Array } | null = null;

function eventBytes(value: unknown): Uint8Array {
  const [id, data] = isTrackedEnvelope(value) ? value : [];
  if (written !== null && written.id === id && written.data === data) return written.bytes;
  const bytes = new TextEncoder().encode(eventText(value));
  if (id === undefined) return bytes;
  const fresh = { id, data, bytes };
  written = fresh;
  // Nothing of what is deleted may stay behind here.
  setImmediate(() => {
    if (written === fresh) written = null;
  });
  return bytes;
}

/** @throws TypeError for an event without id or type: a client could not resume after it */
function eventText(value: unknown): string {
  if (!isTrackedEnvelope(value)) throw new TypeError('An event of a REST stream has no id.');
  const [id, data] = value;
  if (typeof data !== 'object' || data === null || !('type' in data) || typeof data.type !== 'string') {
    throw new TypeError('An event of a REST stream has no type.');
  }
  return `id: ${id}\nevent: ${data.type}\ndata: ${oneLine(data)}\n\n`;
}

/** JSON leaves these as they are; the standard ends no line at them, but readers that split text by Unicode's rules do. */
const furtherLineEnds = /[\u0085\u2028\u2029]/gu;

function oneLine(data: object): string {
  return JSON.stringify(data).replaceAll(
    furtherLineEnds,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
