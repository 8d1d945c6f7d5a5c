import { tracked, type TrackedEnvelope } from '@trpc/server';
import { emptyStream } from './empty-stream.ts';

/** For callers that cannot go away. */
export const never: AbortSignal = new AbortController().signal;

/** Every event carries its id: one without would make a client that reconnects start over. Null: nothing (more) to send. */
export function tracking<Event>(
  events: AsyncIterable<{ readonly id: string; readonly event: Event }> | null,
): AsyncIterable<TrackedEnvelope<Event>, void, unknown> {
  return events === null ? emptyStream : track(events);
}

async function* track<Event>(events: AsyncIterable<{ readonly id: string; readonly event: Event }>) {
  for await (const { id, event } of events) yield tracked(id, event);
}
