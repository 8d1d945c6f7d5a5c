import { beforeEach, describe, expect, it, vi, type Mock } from 'vitest';
import { createRowWatch, type RowState, type RowWatch } from '../../../src/features/generations/row-watch.ts';
import { createManualClock, type ManualClock } from '../../platform/manual-clock.ts';
import { silentLogger } from '../../support/databases.ts';

let clock: ManualClock;
let watch: RowWatch;
let states: Map<string, RowState>;
type ReadStates = (ids: readonly string[]) => Promise<Map<string, RowState>>;
let readStates: Mock<ReadStates>;
const own = new Set<string>();

beforeEach(() => {
  clock = createManualClock();
  states = new Map([['generation', { row: 'running:1', text: '0' }]]);
  readStates = vi.fn<ReadStates>(() => Promise.resolve(new Map(states)));
  own.clear();
  watch = createRowWatch({ readStates, clock, logger: silentLogger, isLocal: (id) => own.has(id) });
});

const listener = () => vi.fn<() => void>();

describe('the watch over rows', () => {
  it('tells a reader once what it finds, then only of what has changed', async () => {
    const changed = listener();
    watch.watch('generation', changed);
    await clock.advance(1000);
    expect(changed).toHaveBeenCalledTimes(1);
    await clock.advance(5000);
    expect(changed).toHaveBeenCalledTimes(1);
    states.set('generation', { row: 'running:1', text: '1' });
    await clock.advance(1000);
    expect(changed).toHaveBeenCalledTimes(2);
  });

  it('tells a reader that comes later of an end that others have been told of', async () => {
    // The owner stored the end and died before it published it; a slow reader is still here.
    const [early, late] = [listener(), listener()];
    watch.watch('generation', early);
    states.set('generation', { row: 'complete:1', text: '1' });
    await clock.advance(1000);
    watch.watch('generation', late);
    await clock.advance(1000);
    expect(late).toHaveBeenCalledTimes(1);
    expect(early).toHaveBeenCalledTimes(1);
  });

  it('tells of a generation that is gone', async () => {
    const changed = listener();
    watch.watch('generation', changed);
    await clock.advance(1000);
    states.clear();
    await clock.advance(1000);
    expect(changed).toHaveBeenCalledTimes(2);
  });

  it('looks at all of them in one query, and at those that run here every five seconds', async () => {
    own.add('mine');
    watch.watch('generation', listener());
    watch.watch('generation', listener());
    watch.watch('mine', listener());
    await clock.advance(5000);
    expect(readStates.mock.calls.map(([ids]) => ids)).toEqual([
      ['generation'],
      ['generation'],
      ['generation'],
      ['generation'],
      ['generation', 'mine'],
    ]);
  });

  it('leaves it to the log to tell the text of what runs here', async () => {
    own.add('generation');
    const changed = listener();
    watch.watch('generation', changed);
    await clock.advance(5000);
    states.set('generation', { row: 'running:1', text: '1' });
    await clock.advance(5000);
    expect(changed).toHaveBeenCalledTimes(1);
    states.set('generation', { row: 'complete:1', text: '1' });
    await clock.advance(5000);
    expect(changed).toHaveBeenCalledTimes(2);
  });

  it('stops looking when nobody is there, and begins again', async () => {
    const leave = watch.watch('generation', listener());
    leave();
    await clock.advance(10_000);
    expect(readStates).not.toHaveBeenCalled();
    const changed = listener();
    watch.watch('generation', changed);
    await clock.advance(1000);
    expect(changed).toHaveBeenCalledTimes(1);
  });

  it('goes on after a look that failed', async () => {
    readStates.mockRejectedValueOnce(new Error('away'));
    const changed = listener();
    watch.watch('generation', changed);
    await clock.advance(1000);
    expect(changed).not.toHaveBeenCalled();
    await clock.advance(1000);
    expect(changed).toHaveBeenCalledTimes(1);
  });
});
