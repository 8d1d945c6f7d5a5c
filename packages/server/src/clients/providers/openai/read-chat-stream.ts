import { createParser } from 'eventsource-parser';
import { AttemptFailure, type AttemptEvent } from '../attempt.ts';
import type { ProviderEvent, ProviderUsage } from '../provider.ts';
import { createTextRepair } from '../storable-text.ts';
import { readChatChunk } from './chat-chunk.ts';
import { networkFailure } from './failed-call.ts';

/** Characters: no honest event is near it, and a server that never ends a line must not fill the memory. */
const longestEvent = 4 * 1024 * 1024;
/** Milliseconds for usage and `[DONE]` once the finish reason is known. */
const afterFinish = 5_000;
/** Milliseconds for the end of the response after `[DONE]`: read to its end, a connection can be used again. */
const afterDone = 1_000;

/** Reads a streamed answer; yields once for each piece of the network that held an event. */
export async function* readChatStream(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<readonly AttemptEvent[], void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const repair = createTextRepair();
  let events: AttemptEvent[] = [];
  let heard = false;
  let done = false;
  let failure: AttemptFailure | undefined;
  let usage: ProviderUsage | null = null;
  let finish: Extract<ProviderEvent, { type: 'finish' }>['reason'] | null = null;

  function readEvent(data: string): void {
    if (done || failure !== undefined) return;
    heard = true;
    if (data === '[DONE]') {
      done = true;
      if (finish !== null) events.push({ type: 'ending', within: afterDone });
      return;
    }
    let value: unknown;
    try {
      value = JSON.parse(data);
    } catch {
      // The parser's message quotes the text, which is not for logs.
      failure = new AttemptFailure('an event of the stream is not JSON');
      return;
    }
    const chunk = readChatChunk(value, 'delta');
    if (chunk.error !== null) {
      failure = new AttemptFailure(`the stream told an error: ${chunk.error}`);
      return;
    }
    if (chunk.reasoning) events.push({ type: 'reasoning' });
    const text = chunk.text === '' ? '' : repair.push(chunk.text);
    if (text !== '') events.push({ type: 'text', text });
    // Some servers tell a running figure with each event: the last one counts.
    if (chunk.usage !== null) usage = chunk.usage;
    if (chunk.finish !== null && finish === null) {
      finish = chunk.finish;
      events.push({ type: 'ending', within: afterFinish });
    }
  }

  const parser = createParser({
    maxBufferSize: longestEvent,
    onEvent: ({ data }) => readEvent(data),
    onError(error) {
      if (error.type === 'max-buffer-size-exceeded')
        failure ??= new AttemptFailure('an event of the stream is too long');
    },
  });

  try {
    for (let open = true; open;) {
      try {
        const { value, done: ended } = await reader.read();
        open = !ended;
        // An end without the empty line that closes an event still counts as its end.
        parser.feed(ended ? `${decoder.decode()}\n\n` : decoder.decode(value, { stream: true }));
      } catch (error) {
        // A connection that breaks after the finish reason has nothing left to tell.
        if (finish === null) throw networkFailure(error);
        open = false;
      }
      if (done && finish === null) open = false;
      if (heard) {
        const ready = events;
        events = [];
        heard = false;
        yield ready;
      }
      if (failure !== undefined) throw failure;
    }
    if (finish === null) throw new AttemptFailure('the stream ended without a finish reason');
    const rest = repair.flush();
    if (rest !== '') events.push({ type: 'text', text: rest });
    if (usage !== null) events.push({ type: 'usage', usage });
    events.push({ type: 'finish', reason: finish });
    yield events;
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
