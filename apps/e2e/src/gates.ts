import type { Probe, ProbePoint } from '@chat-service/server/features/generations/probe';

/** A moment in a generation's life at which the server in this process waits for the test. */
export interface Gate {
  /** Resolves with the generation's id when one has come to it. */
  readonly reached: Promise<string>;
  /** Lets it go on; called before, it does not wait at all. */
  release(): void;
}

export interface Gates {
  /** For the world. */
  readonly probe: Probe;
  /** Holds whichever generation comes to this point next. */
  hold(point: ProbePoint): Gate;
  /** How often generations have come to this point. */
  count(point: ProbePoint): number;
}

export function createGates(): Gates {
  const waiting = new Map<ProbePoint, (generationId: string) => Promise<void>>();
  const counts = new Map<ProbePoint, number>();
  return {
    async probe(point, generationId) {
      counts.set(point, (counts.get(point) ?? 0) + 1);
      const arrive = waiting.get(point);
      waiting.delete(point);
      await arrive?.(generationId);
    },
    hold(point) {
      const arrived = Promise.withResolvers<string>();
      const released = Promise.withResolvers<void>();
      waiting.set(point, (generationId) => {
        arrived.resolve(generationId);
        return released.promise;
      });
      return { reached: arrived.promise, release: released.resolve };
    },
    count: (point) => counts.get(point) ?? 0,
  };
}
