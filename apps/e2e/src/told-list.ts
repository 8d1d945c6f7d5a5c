import type { ObservationEvent } from '@chat-service/shared/events';

export interface Told {
  readonly id: string;
  readonly event: ObservationEvent;
}

/** What an observer was told, as a list that grows. */
export interface ToldList {
  readonly told: readonly Told[];
  /** What was told in short: types, and of an `observer` its status. */
  readonly kinds: () => readonly string[];
  /** The texts of all chunks, joined. */
  readonly text: () => string;
  /** Resolves once something of this kind was told so many times. */
  until(kind: string, times?: number): Promise<void>;
  /** Resolves once it holds. */
  untilIt(holds: (told: readonly Told[]) => boolean): Promise<void>;
}

export function createToldList(): ToldList & { add(one: Told): void } {
  const told: Told[] = [];
  const waiting = new Set<() => void>();
  const kinds = () => told.map(({ event }) => kindOf(event));
  const untilIt: ToldList['untilIt'] = (holds) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => {
      if (holds(told)) resolve();
    };
    waiting.add(look);
    look();
    return promise.finally(() => waiting.delete(look));
  };
  return {
    told,
    kinds,
    text: () => told.map(({ event }) => (event.type === 'chunk' ? event.text : '')).join(''),
    until: (kind, times = 1) => untilIt(() => kinds().filter((one) => one === kind).length >= times),
    untilIt,
    add(one) {
      told.push(one);
      for (const look of waiting) look();
    },
  };
}

function kindOf(event: ObservationEvent): string {
  return event.type === 'observer' ? event.status : event.type;
}

/** What is told to all, without the notices to one observer. */
export function essence(told: readonly Told[]): Told[] {
  return told.filter(({ event }) => event.type !== 'observer');
}
