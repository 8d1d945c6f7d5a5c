import type { ObserverEvent } from '@chat-service/shared/events';
import type { Notices, ObservedNotices } from '../generations/reader-notices.ts';
import type { ObserverCounts } from './observer-counts.ts';

export interface ObserverNoticesOptions {
  readonly counts: Pick<ObserverCounts, 'watch'>;
  readonly sessionId: string;
  /** What the observer has been told on arrival. */
  readonly told: { readonly status: 'live' | 'idle'; readonly observers: number };
}

/** Tells an observer whether an answer is being written and how many are watching, whenever one of the two changes. */
export function createObserverNotices({ counts, sessionId, told }: ObserverNoticesOptions): Notices<ObserverEvent> {
  let { status, observers } = told;
  let current = observers;
  return {
    listen: (ring) =>
      counts.watch(sessionId, (counted) => {
        current = counted;
        if (current !== observers) ring();
      }),
    next(running) {
      const now = running === null ? status : running ? 'live' : 'idle';
      if (now === status && current === observers) return null;
      status = now;
      observers = current;
      return { type: 'observer', status, observers };
    },
  };
}

/** What the users' own streams carry where the operator has them shown how many watch. */
export function createObservedNotices(counts: Pick<ObserverCounts, 'watch'>): ObservedNotices {
  return function observedNotices(sessionId, resumed) {
    let told: number | null = resumed ? null : 0;
    let current: number | null = null;
    return {
      listen: (ring) =>
        counts.watch(sessionId, (counted) => {
          current = counted;
          if (current !== told) ring();
        }),
      next() {
        if (current === null || current === told) return null;
        told = current;
        return { type: 'observed', observers: told };
      },
    };
  };
}
