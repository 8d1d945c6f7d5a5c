import type { Probe, ProbePoint } from '@chat-service/server/features/generations/probe';

/** Stops generations of the server in this process at a named moment of their life, until the test lets them go on. */
export interface ProbeGate {
  readonly probe: Probe;
  /** How often a moment was passed, or reached. */
  count(point: ProbePoint): number;
  /** Holds the next generation that comes to this moment. */
  hold(point: ProbePoint): { readonly reached: Promise<string>; release(): void };
}

export function createProbeGate(): ProbeGate {
  const counts = new Map<ProbePoint, number>();
  const holds: { point: ProbePoint; reach: (generationId: string) => void; open: Promise<void> }[] = [];
  return {
    probe(point, generationId) {
      counts.set(point, (counts.get(point) ?? 0) + 1);
      const index = holds.findIndex((hold) => hold.point === point);
      const [hold] = index === -1 ? [] : holds.splice(index, 1);
      hold?.reach(generationId);
      return hold?.open;
    },
    count: (point) => counts.get(point) ?? 0,
    hold(point) {
      const { promise: reached, resolve: reach } = Promise.withResolvers<string>();
      const { promise: open, resolve: release } = Promise.withResolvers<void>();
      holds.push({ point, reach, open });
      return { reached, release };
    },
  };
}
