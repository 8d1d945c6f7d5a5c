import { describe, expect, it } from 'vitest';
import { createRunningGeneration } from '../../../src/features/generations/running-generation.ts';

const at = (number: number) => ({ fence: 4, number });

function begin() {
  return createRunningGeneration({ id: 'generation', sessionId: 'session', userId: 'user', fence: 4, position: at(1) });
}

describe('a running generation', () => {
  it('grows by what is appended and stands where the last text stands', () => {
    const running = begin();
    expect([running.text, running.position]).toEqual(['', at(1)]);
    running.append('one ', at(2));
    running.append('two', at(3));
    expect([running.text, running.position]).toEqual(['one two', at(3)]);
  });

  it('has nothing to save before there is text, and once all of it is saved', () => {
    const running = begin();
    expect(running.unsaved()).toBeNull();
    running.append('one', at(2));
    const unsaved = running.unsaved();
    expect(unsaved).toEqual({ sequence: 0, text: 'one', position: at(2) });
    if (unsaved !== null) running.saved(unsaved);
    expect(running.unsaved()).toBeNull();
  });

  it('keeps what came while its text was being saved for the next piece', () => {
    const running = begin();
    running.append('one ', at(2));
    const first = running.unsaved();
    running.append('two', at(3));
    if (first !== null) running.saved(first);
    expect(first).toEqual({ sequence: 0, text: 'one ', position: at(2) });
    expect(running.unsaved()).toEqual({ sequence: 1, text: 'two', position: at(3) });
  });

  it('offers a piece again, with what came since, when it was not saved', () => {
    const running = begin();
    running.append('one ', at(2));
    running.unsaved();
    running.append('two', at(3));
    expect(running.unsaved()).toEqual({ sequence: 0, text: 'one two', position: at(3) });
  });

  it('ends by the first cause, and later ones change nothing', () => {
    const running = begin();
    running.cancel('user');
    const reason: unknown = running.signal.reason;
    running.cancel('shutdown');
    expect(running.cancellation).toBe('user');
    expect(running.signal.aborted).toBe(true);
    expect(running.signal.reason).toBe(reason);
  });

  it('cannot be cancelled once it is decided how it ends', () => {
    const running = begin();
    running.settle();
    running.cancel('fenced');
    expect(running.cancellation).toBeNull();
    expect(running.signal.aborted).toBe(false);
  });
});
