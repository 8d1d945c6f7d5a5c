import type { ObservationEvent } from '@chat-service/shared/events';
import type { Message, Session } from '@chat-service/shared/objects';
import type { AuditEntry, User } from '@chat-service/shared/supervisor-api';
import type { TrackedObservationEvent } from '../../src/observation-state.ts';
import { sessionId, toyMessage } from './toy-generations.ts';

const time = '2026-01-01T00:00:00.000Z';

export const toyUser: User = {
  id: 'u',
  username: 'user',
  email: null,
  role: 'enduser',
  plan: 'free',
  sessionCount: 1,
  lastSeenAt: time,
  createdAt: time,
};

export const toyEntry: AuditEntry = {
  id: 'e',
  at: time,
  actorId: 'boss',
  actorRole: 'supervisor',
  action: 'observe.attach',
  subjectId: 'u',
  sessionId,
  connectionId: null,
  clientAddress: null,
  requestId: 'r-1',
  reason: null,
};

export function toySession(id: string): Session {
  return {
    id,
    userId: 'u',
    title: null,
    modelId: 'demo',
    source: 'api',
    systemPrompt: null,
    parameters: {},
    metadata: {},
    status: 'idle',
    activeStreamId: null,
    messageCount: 0,
    lastMessageAt: null,
    temporary: false,
    observers: null,
    createdAt: time,
    updatedAt: time,
  };
}

/** A session to be observed. Its ids are made as the service makes them, shorter. */
export interface ToyObservation {
  /** What is stored: the history. */
  readonly stored: Message[];
  /** What has happened since, in order; who observes is told. */
  readonly log: TrackedObservationEvent[];
  /** How many are said to watch. */
  observers: number;
  /** Cannot go on anywhere: every connection begins with the history. */
  forgetful: boolean;
  append(...events: ObservationEvent[]): void;
  /** A whole turn. */
  turn(streamId: string, pieces: readonly string[]): void;
  /** Ends every observation that is open. */
  end(reason: 'token' | 'role' | 'unavailable'): void;
  /** Observations that are open. */
  open(): number;
  observe(after: string | null, signal: AbortSignal | undefined): AsyncGenerator<TrackedObservationEvent, void, void>;
}

const place = (position: number) => `p${position.toString(16).padStart(6, '0')}`;

export function createToyObservation(): ToyObservation {
  const stored = [toyMessage('m0', 'stored 0', 'complete'), toyMessage('m1', 'stored 1', 'complete')];
  const log: TrackedObservationEvent[] = [];
  const waiting = new Set<() => void>();
  let arrivals = 0;
  let open = 0;
  let ends = 0;
  let endReason: 'token' | 'role' | 'unavailable' = 'role';
  const wake = () => {
    for (const one of waiting) one();
  };

  async function* history(): AsyncGenerator<TrackedObservationEvent, void, void> {
    const id = (suffix: string) => `${place(0)}.${suffix}`;
    yield { id: id('h0'), event: { type: 'history-start', count: stored.length, total: stored.length } };
    for (const [index, message] of stored.entries())
      yield { id: id(`h${index + 1}`), event: { type: 'message', message } };
    yield { id: id('i'), event: { type: 'history-end' } };
  }

  async function* tell(
    after: string | null,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<TrackedObservationEvent, void, void> {
    const endsBefore = ends;
    arrivals += 1;
    const [base = '', suffix = ''] = after?.split('.') ?? [];
    const goesOn = after !== null && !observation.forgetful && !/^[hc]/u.test(suffix);
    const { observers } = observation;
    const arrival = `${goesOn ? base : place(0)}.${goesOn ? 'o' : 'c'}${arrivals.toString(16).padStart(4, '0')}`;
    const session = toySession(sessionId);
    yield { id: arrival, event: { type: 'observer', status: 'connected', session, user: toyUser, observers } };
    if (!goesOn) yield* history();
    let next = goesOn ? Number.parseInt(base.slice(1), 16) : 0;
    while (signal?.aborted !== true) {
      const tracked = log[next];
      if (tracked !== undefined) {
        next += 1;
        yield tracked;
        if (tracked.event.type === 'session-deleted') return;
      } else if (ends > endsBefore) {
        yield { id: `${place(next)}.offff`, event: { type: 'observer', status: 'ended', reason: endReason } };
        return;
      } else {
        await new Promise<void>((resolve) => {
          waiting.add(resolve);
          signal?.addEventListener('abort', () => resolve(), { once: true });
        });
      }
    }
  }

  const observation: ToyObservation = {
    stored,
    log,
    observers: 1,
    forgetful: false,
    append(...events) {
      for (const event of events) log.push({ id: place(log.length + 1), event });
      wake();
    },
    turn(streamId, pieces) {
      const asked: Message = { ...toyMessage(`${streamId}-asked`, 'Hi', 'complete'), role: 'user' };
      observation.append(
        { type: 'message', message: asked },
        { type: 'start', streamId, sessionId, userMessage: asked, title: null, modelId: 'demo' },
        ...pieces.map((text): ObservationEvent => ({ type: 'chunk', streamId, text })),
        {
          type: 'done',
          streamId,
          message: toyMessage(streamId, pieces.join(''), 'complete'),
          usage: null,
          finishReason: 'stop',
        },
      );
    },
    end(reason) {
      ends += 1;
      endReason = reason;
      wake();
    },
    open: () => open,
    async *observe(after, signal) {
      open += 1;
      try {
        yield* tell(after, signal);
      } finally {
        open -= 1;
      }
    },
  };
  return observation;
}
