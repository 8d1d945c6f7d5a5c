import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ObservationEvent } from '@chat-service/shared/events';
import type { Message } from '@chat-service/shared/objects';
import {
  initialObservationState,
  reduceObservation,
  type ObservationState,
  type TrackedObservationEvent,
} from '../src/observation-state.ts';
import { seed } from '../../shared/test/support/seed.ts';
import { sessionId, toyMessage } from './toy/toy-generations.ts';
import { toySession, toyUser } from './toy/toy-observation.ts';

/** What happens in a session, and what happens to the connection that watches it. */
type Step =
  | { kind: 'turn'; pieces: string[]; lost: number | null; end: 'done' | 'error' | 'none' }
  | { kind: 'delete' | 'edit'; index: number }
  | { kind: 'rename'; title: string }
  | { kind: 'observers'; count: number }
  | { kind: 'start-over' }
  | { kind: 'reconnect' };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('turn' as const),
        pieces: fc.array(fc.string({ maxLength: 3 }), { maxLength: 4 }),
        lost: fc.option(fc.nat({ max: 4 })),
        end: fc.constantFrom('done' as const, 'error' as const, 'none' as const),
      }),
    },
    fc.record({ kind: fc.constantFrom('delete' as const, 'edit' as const), index: fc.nat({ max: 5 }) }),
    fc.record({ kind: fc.constant('rename' as const), title: fc.string({ maxLength: 3 }) }),
    fc.record({ kind: fc.constant('observers' as const), count: fc.integer({ min: 1, max: 5 }) }),
    fc.constant({ kind: 'start-over' as const }),
    fc.constant({ kind: 'reconnect' as const }),
  ),
  { maxLength: 10 },
);

interface Told {
  /** Everything that a watcher is told, over all its connections. */
  readonly log: TrackedObservationEvent[];
  /** The session as it is at the end. */
  readonly truth: Pick<ObservationState, 'messages' | 'session' | 'status' | 'observers'>;
}

/** Plays the steps as the service would tell them. Ids of a history lie between its position and the next. */
function tell(played: readonly Step[], stored: number): Told {
  const log: TrackedObservationEvent[] = [];
  const messages: Message[] = Array.from({ length: stored }, (_, index) => toyMessage(`m${index}`, 'x', 'complete'));
  let session = { ...toySession(sessionId), title: 'T' };
  let observers = 1;
  let position = 1;
  /** Where the session's history ends: before the turn that is being written. */
  let settled = 1;
  let arrivals = 0;
  let running: { id: string; from: number; asked: Message; content: string } | null = null;
  const hex = (value: number) => value.toString(16).padStart(8, '0');
  const at = (place: number, suffix = '') => `${hex(place)}-tag${suffix}`;
  const push = (id: string, event: ObservationEvent) => void log.push({ id, event });
  const live = (event: ObservationEvent) => {
    position += 1;
    push(at(position), event);
  };
  const standing = () => ({
    ...session,
    status: running === null ? ('idle' as const) : ('streaming' as const),
  });
  const notice = () => {
    arrivals += 1;
    push(at(position, `.o${hex(arrivals)}`), {
      type: 'observer',
      status: running === null ? 'idle' : 'live',
      observers,
    });
  };
  const connect = (anew: boolean) => {
    arrivals += 1;
    const place = anew ? at(settled, `.c${hex(arrivals)}`) : at(position, `.o${hex(arrivals)}`);
    push(place, { type: 'observer', status: 'connected', session: standing(), user: toyUser, observers });
  };
  const history = () => {
    const id = (index: number) => at(settled, `.h${hex(index)}`);
    push(id(0), { type: 'history-start', count: messages.length, total: messages.length });
    for (const [index, message] of messages.entries()) push(id(index + 1), { type: 'message', message });
    push(at(settled, '.i'), { type: 'history-end' });
    if (running === null) return;
    const { id: streamId, from, asked, content } = running;
    push(at(from), { type: 'message', message: asked });
    push(at(from + 1), {
      type: 'start',
      streamId,
      sessionId,
      userMessage: asked,
      title: session.title,
      modelId: 'demo',
    });
    push(at(position), { type: 'chunk', streamId, text: content });
  };
  const end = (status: 'complete' | 'failed') => {
    if (running === null) return;
    const { id: streamId, asked, content } = running;
    const message = toyMessage(streamId, content, status);
    messages.push(asked, message);
    running = null;
    if (status === 'complete') live({ type: 'done', streamId, message, usage: null, finishReason: 'stop' });
    else live({ type: 'error', streamId, error: { code: 'MODEL_ERROR', message: 'm', retryable: true }, message });
    settled = position;
    notice();
  };

  connect(true);
  history();
  for (const [index, step] of played.entries()) {
    if (step.kind === 'turn') {
      end('complete');
      const streamId = `a${index}`;
      const asked: Message = { ...toyMessage(`u${index}`, 'Hi', 'complete'), role: 'user' };
      position += 1;
      running = { id: streamId, from: position, asked, content: '' };
      push(at(position), { type: 'message', message: asked });
      live({ type: 'start', streamId, sessionId, userMessage: asked, title: session.title, modelId: 'demo' });
      notice();
      for (const text of step.pieces) {
        running.content += text;
        live({ type: 'chunk', streamId, text });
      }
      if (step.lost !== null) {
        running.content = running.content.slice(0, -step.lost);
        live({ type: 'resync', streamId, message: toyMessage(streamId, running.content, 'streaming') });
      }
      if (step.end !== 'none') end(step.end === 'done' ? 'complete' : 'failed');
    }
    const chosen = step.kind === 'delete' || step.kind === 'edit' ? messages[step.index] : undefined;
    // While an answer is being written, what is stored does not change.
    if (chosen !== undefined && running === null) {
      const edited = { ...chosen, content: `${chosen.content}!` };
      const where = messages.indexOf(chosen);
      if (step.kind === 'edit') messages[where] = edited;
      else messages.splice(where, 1);
      live(
        step.kind === 'edit' ? { type: 'message', message: edited } : { type: 'message-deleted', messageId: chosen.id },
      );
      settled = position;
    }
    if (step.kind === 'rename') {
      session = { ...session, title: step.title };
      live({ type: 'session-updated', session: standing() });
      if (running === null) settled = position;
    }
    if (step.kind === 'observers' && step.count !== observers) {
      observers = step.count;
      notice();
    }
    if (step.kind === 'reconnect') connect(false);
    if (step.kind === 'start-over') {
      connect(true);
      history();
    }
  }
  const unfinished =
    running === null ? [] : [running.asked, expect.objectContaining({ id: running.id, content: running.content })];
  return {
    log,
    truth: {
      messages: [...messages, ...unfinished],
      session: expect.objectContaining({ title: session.title }),
      status: running === null ? 'idle' : 'live',
      observers,
    },
  };
}

const told = fc.record({ steps, stored: fc.nat({ max: 4 }) }).map((input) => tell(input.steps, input.stored));

/** What a watcher sees that is cut again and again: each time it goes back to any earlier point, or repeats an event. */
const transcripts = told.chain(({ log, truth }) =>
  fc
    .array(fc.record({ upTo: fc.nat({ max: log.length }), back: fc.nat({ max: log.length }), twice: fc.boolean() }), {
      maxLength: 6,
    })
    .map((cuts) => {
      const seen: TrackedObservationEvent[] = [];
      let at = 0;
      const read = (to: number, twice: boolean) => {
        for (const tracked of log.slice(at, to)) seen.push(...(twice ? [tracked, tracked] : [tracked]));
        at = Math.max(at, to);
      };
      for (const { upTo, back, twice } of cuts) {
        read(upTo, twice);
        at = Math.min(at, back);
      }
      read(log.length, false);
      return { log, seen, truth };
    }),
);

function run(events: readonly TrackedObservationEvent[]): ObservationState {
  return events.reduce(reduceObservation, initialObservationState(sessionId));
}

describe('reduceObservation', () => {
  it('ends in the session as it is, however often everything was told anew', () => {
    fc.assert(
      fc.property(told, ({ log, truth }) => {
        expect(run(log)).toMatchObject({ ...truth, ended: null, history: null });
      }),
      { seed, numRuns: 600 },
    );
  });

  it('ends in the same state whatever is replayed or repeated', () => {
    fc.assert(
      fc.property(transcripts, ({ log, seen, truth }) => {
        const state = run(seen);
        expect(state).toEqual(run(log));
        expect(state).toMatchObject(truth);
      }),
      { seed, numRuns: 600 },
    );
  });

  it('goes on from a state that was kept', () => {
    fc.assert(
      fc.property(told, fc.nat({ max: 60 }), ({ log }, at) => {
        const kept = JSON.parse(JSON.stringify(run(log.slice(0, at)))) as ObservationState;
        expect(log.reduce(reduceObservation, kept)).toEqual(run(log));
      }),
      { seed, numRuns: 200 },
    );
  });

  const connected = (id: string, observers: number): TrackedObservationEvent => ({
    id,
    event: { type: 'observer', status: 'connected', session: toySession(sessionId), user: toyUser, observers },
  });
  const stored = (id: string, message: string): TrackedObservationEvent => ({
    id,
    event: { type: 'message', message: toyMessage(message, 'x', 'complete') },
  });
  const history = (id: string): TrackedObservationEvent => ({
    id,
    event: { type: 'history-start', count: 1, total: 1 },
  });
  const historyEnd = (id: string): TrackedObservationEvent => ({ id, event: { type: 'history-end' } });
  const begun = [connected('b.c', 1), history('b.h0'), stored('b.h1', 'm1'), historyEnd('b.i'), stored('c', 'm2')];
  const ids = ({ messages }: ObservationState) => messages.map(({ id }) => id);

  it('keeps what it has while it is told anew, until the new history is complete', () => {
    const anew = [connected('b.c2', 3), history('b.h0'), stored('b.h1', 'm1')];
    const during = run([...begun, ...anew]);
    expect(ids(during)).toEqual(['m1', 'm2']);
    expect(during).toMatchObject({ lastEventId: 'c', observers: 3 });
    const after = run([...begun, ...anew, historyEnd('b.i')]);
    expect(ids(after)).toEqual(['m1']);
    expect(after).toMatchObject({ lastEventId: 'b.i', observers: 3, history: null });
  });

  it('is not led astray by a stray copy of a start', () => {
    const copies = [...begun, connected('b.c', 9), history('b.h0'), stored('d', 'm3')];
    const chunk: TrackedObservationEvent = { id: 'e', event: { type: 'chunk', streamId: 'm4', text: 'y' } };
    const state = run([...copies, chunk, historyEnd('b.i')]);
    expect(ids(state)).toEqual(['m1', 'm2', 'm3', 'm4']);
    expect(state.history).toBeNull();
  });

  it('ends with the session, of which it keeps nothing, or with the last word to the observer', () => {
    const deleted = run([...begun, { id: 'd', event: { type: 'session-deleted', sessionId } }]);
    expect(deleted).toMatchObject({ ended: 'session-deleted', session: null, messages: [] });
    const over = run([...begun, { id: 'c.o1', event: { type: 'observer', status: 'ended', reason: 'role' } }]);
    expect(over).toMatchObject({ ended: 'role' });
    expect(reduceObservation(over, connected('c.o2', 2))).toMatchObject({ ended: null, observers: 2 });
    // Also where it comes before a history that is told anew has ended.
    const broken = run([
      ...begun,
      history('b.h0'),
      { id: 'b.h0.e', event: { type: 'observer', status: 'ended', reason: 'unavailable' } },
    ]);
    expect(broken).toMatchObject({ ended: 'unavailable', lastEventId: 'c' });
  });

  it('changes nothing in its argument, for what it has seen, or for types that it does not know', () => {
    const state = run(begun);
    Object.freeze(state);
    Object.freeze(state.messages);
    for (const seen of begun.slice(2)) expect(reduceObservation(state, seen)).toBe(state);
    const unknown = JSON.parse('{ "type": "new" }') as ObservationEvent;
    expect(reduceObservation(state, { id: 'd', event: unknown })).toEqual({ ...state, lastEventId: 'd' });
    reduceObservation(state, { id: 'd', event: { type: 'chunk', streamId: 'm9', text: 'y' } });
    expect(ids(state)).toEqual(['m1', 'm2']);
  });
});
