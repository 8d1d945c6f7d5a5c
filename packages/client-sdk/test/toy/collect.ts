import type { StreamEvent } from '../../src/generation-state.ts';
import { createChatClient, type ChatClient, type ChatClientOptions } from '../../src/chat-client.ts';
import type { ToyServer } from './toy-server.ts';

/** A client that does not dawdle between its attempts. */
export function quickClient(server: ToyServer | string, options: Partial<ChatClientOptions> = {}): ChatClient {
  const url = typeof server === 'string' ? server : server.url;
  return createChatClient({ url, token: 'good', retryDelayMs: () => 1, ...options });
}

export async function collect(stream: AsyncIterable<StreamEvent>): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

export function textOf(events: readonly StreamEvent[]): string {
  return events.map((event) => (event.type === 'chunk' ? event.text : '')).join('');
}
