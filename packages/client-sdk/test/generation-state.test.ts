import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GenerationEvent } from '@chat-service/shared/events';
import {
  initialGenerationState,
  reduceGeneration,
  type GenerationState,
  type TrackedEvent,
} from '../src/generation-state.ts';
import { seed } from '../../shared/test/support/seed.ts';
import { sessionId, toyMessage } from './toy/toy-generations.ts';

const streamId = '019a0000-0000-7000-8000-00000000000a';

/** A whole generation: start, chunks with a resync here and there, and an end that may be any of the three kinds. */
const logs: fc.Arbitrary<TrackedEvent[]> = fc
  .record({
    steps: fc.array(
      fc.oneof(
        {
          weight: 5,
          arbitrary: fc.string({ maxLength: 4, unit: 'grapheme' }).map((text) => ({ kind: 'chunk' as const, text })),
        },
        { weight: 1, arbitrary: fc.nat({ max: 10 }).map((lost) => ({ kind: 'resync' as const, lost })) },
      ),
      { maxLength: 20 },
    ),
    end: fc.constantFrom('done', 'error', 'none'),
    /** Ids increase, and not by one each. */
    gaps: fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 22, maxLength: 22 }),
  })
  .map(({ steps, end, gaps }) => {
    const events: GenerationEvent[] = [
      {
        type: 'start',
        streamId,
        sessionId,
        userMessage: { ...toyMessage('u', 'Hi', 'complete'), role: 'user' },
        title: 'T',
        modelId: 'demo',
      },
    ];
    let content = '';
    for (const step of steps) {
      if (step.kind === 'chunk') {
        content += step.text;
        events.push({ type: 'chunk', streamId, text: step.text });
      } else {
        content = content.slice(0, Math.max(0, content.length - step.lost));
        events.push({ type: 'resync', streamId, message: toyMessage(streamId, content, 'streaming') });
      }
    }
    const message = toyMessage(streamId, content, end === 'done' ? 'complete' : 'failed');
    if (end === 'done') events.push({ type: 'done', streamId, message, usage: null, finishReason: 'stop' });
    if (end === 'error') {
      events.push({ type: 'error', streamId, error: { code: 'MODEL_ERROR', message: 'm', retryable: true }, message });
    }
    let position = 0;
    return events.map((event, index) => {
      position += gaps[index] ?? 1;
      return { id: `tag-${position.toString(16).padStart(8, '0')}`, event };
    });
  });

/** What a reader sees that is cut again and again: each time it goes back to any earlier point, or repeats an event. */
const transcripts = logs.chain((log) =>
  fc
    .array(fc.record({ upTo: fc.nat({ max: log.length }), back: fc.nat({ max: log.length }), twice: fc.boolean() }), {
      maxLength: 6,
    })
    .map((cuts) => {
      const seen: TrackedEvent[] = [];
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
      return { log, seen };
    }),
);

function run(events: readonly TrackedEvent[]): GenerationState {
  return events.reduce(reduceGeneration, initialGenerationState(sessionId));
}

describe('reduceGeneration', () => {
  it('ends in the same state whatever is replayed or repeated', () => {
    fc.assert(
      fc.property(transcripts, ({ log, seen }) => {
        expect(run(seen)).toEqual(run(log));
      }),
      { seed, numRuns: 2_000 },
    );
  });

  it('has the text of the log at every event', () => {
    fc.assert(
      fc.property(logs, (log) => {
        let text = '';
        let state = initialGenerationState(sessionId);
        for (const tracked of log) {
          const { event } = tracked;
          if (event.type === 'chunk') text += event.text;
          if (event.type === 'resync') text = event.message.content;
          state = reduceGeneration(state, tracked);
          expect(state.message?.content).toBe(text);
          expect(state.lastEventId).toBe(tracked.id);
        }
      }),
      { seed, numRuns: 300 },
    );
  });

  it('goes on from a state that was kept', () => {
    fc.assert(
      fc.property(logs, fc.nat({ max: 22 }), (log, at) => {
        const kept = JSON.parse(JSON.stringify(run(log.slice(0, at)))) as GenerationState;
        expect(log.reduce(reduceGeneration, kept)).toEqual(run(log));
      }),
      { seed, numRuns: 300 },
    );
  });

  it('changes nothing for what it has seen, for another generation, or in its argument', () => {
    const [start, chunk]: TrackedEvent[] = [
      { id: 'a', event: { type: 'start', streamId, sessionId, userMessage: null, title: null, modelId: 'demo' } },
      { id: 'b', event: { type: 'chunk', streamId, text: 'x' } },
    ];
    if (start === undefined || chunk === undefined) throw new Error('unreachable');
    const state = Object.freeze(run([start]));
    expect(reduceGeneration(state, start)).toBe(state);
    expect(reduceGeneration(state, { id: 'b', event: { type: 'chunk', streamId: 'other', text: 'y' } })).toBe(state);
    expect(reduceGeneration(state, chunk).message?.content).toBe('x');
    expect(state.message?.content).toBe('');
  });

  it('passes over types that it does not know, whether or not they name the generation', () => {
    const unknown = JSON.parse(`{ "type": "new", "streamId": "${streamId}" }`) as GenerationEvent;
    const state = reduceGeneration(run([]), { id: 'a', event: unknown });
    expect(state).toMatchObject({ lastEventId: 'a', message: null, streamId });
    const observed = { id: 'a', event: { type: 'observed', observers: 1 } } as const;
    const chunk: TrackedEvent = { id: 'b', event: { type: 'chunk', streamId, text: 'x' } };
    expect(run([observed, chunk])).toMatchObject({ streamId, lastEventId: 'b', message: { content: 'x' } });
  });
});
