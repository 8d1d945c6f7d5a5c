import { randomUUID } from 'node:crypto';
import type { Message } from '@chat-service/shared/objects';
import type { TrackedEvent } from '../../src/generation-state.ts';

export const sessionId = '019a0000-0000-7000-8000-000000000001';
const time = '2026-01-01T00:00:00.000Z';

export interface ToyGeneration {
  readonly streamId: string;
  readonly log: TrackedEvent[];
  /** Adds events; watchers get them. */
  append(...events: TrackedEvent['event'][]): void;
  chunk(text: string): void;
  done(): void;
  fail(): void;
  stop(): Message;
  /** The events after an id, as they come, until the terminal one. */
  read(after: string | null, signal: AbortSignal | undefined): AsyncGenerator<TrackedEvent, void, undefined>;
}

export interface ToyGenerations {
  /** Text pieces that each new generation writes by itself; null leaves it to the test. */
  script: string[] | null;
  /** Follows from the start, whatever id it is given. */
  forgetful: boolean;
  readonly all: ToyGeneration[];
  /** Starts, or joins the one with that key. */
  start(key: string, text: string | undefined): ToyGeneration;
  find(streamId: string | undefined): ToyGeneration | undefined;
}

export function createToyGenerations(): ToyGenerations {
  const byKey = new Map<string, ToyGeneration>();
  const all: ToyGeneration[] = [];
  const generations: ToyGenerations = {
    script: null,
    forgetful: false,
    all,
    start(key, text) {
      const known = byKey.get(key);
      if (known !== undefined) return known;
      const generation = createGeneration(text ?? '');
      byKey.set(key, generation);
      all.push(generation);
      if (generations.script !== null) {
        for (const piece of generations.script) generation.chunk(piece);
        generation.done();
      }
      return generation;
    },
    find: (streamId) => (streamId === undefined ? all.at(-1) : all.find((one) => one.streamId === streamId)),
  };
  return generations;
}

export function toyMessage(streamId: string, content: string, status: Message['status']): Message {
  return {
    id: streamId,
    sessionId,
    role: 'assistant',
    content,
    status,
    modelId: 'demo',
    fallbackFrom: null,
    stoppedBy: status === 'stopped' ? 'user' : null,
    usage: null,
    finishReason: status === 'complete' ? 'stop' : null,
    error: null,
    createdAt: time,
    updatedAt: time,
  };
}

function createGeneration(text: string): ToyGeneration {
  const streamId = randomUUID();
  const log: TrackedEvent[] = [];
  const waiting = new Set<() => void>();
  let content = '';

  const generation: ToyGeneration = {
    streamId,
    log,
    append(...events) {
      for (const event of events) {
        if (event.type === 'chunk') content += event.text;
        log.push({ id: `t${(log.length + 1).toString(16).padStart(8, '0')}`, event });
      }
      for (const wake of waiting) wake();
    },
    chunk: (piece) => generation.append({ type: 'chunk', streamId, text: piece }),
    done: () =>
      generation.append({
        type: 'done',
        streamId,
        message: toyMessage(streamId, content, 'complete'),
        usage: null,
        finishReason: 'stop',
      }),
    fail: () =>
      generation.append({
        type: 'error',
        streamId,
        error: { code: 'MODEL_ERROR', message: 'Model error', retryable: true },
        message: toyMessage(streamId, content, 'failed'),
      }),
    stop() {
      const last = log.at(-1)?.event;
      if (last !== undefined && (last.type === 'done' || last.type === 'error')) return last.message;
      const message = toyMessage(streamId, content, 'stopped');
      generation.append({ type: 'done', streamId, message, usage: null, finishReason: 'stopped' });
      return message;
    },
    async *read(after, signal) {
      let next = after === null ? 0 : log.findIndex(({ id }) => id > after);
      if (next === -1) next = log.length;
      for (;;) {
        const tracked = log[next];
        if (tracked === undefined) {
          const last = log.at(-1)?.event.type;
          if (last === 'done' || last === 'error') return;
          await new Promise<void>((resolve) => {
            waiting.add(resolve);
            signal?.addEventListener('abort', () => resolve(), { once: true });
          });
          if (signal?.aborted === true) return;
          continue;
        }
        next += 1;
        yield tracked;
      }
    },
  };
  generation.append({
    type: 'start',
    streamId,
    sessionId,
    userMessage: { ...toyMessage(randomUUID(), text, 'complete'), role: 'user' },
    title: null,
    modelId: 'demo',
  });
  return generation;
}
