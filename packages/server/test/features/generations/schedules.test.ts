import { describe, expect, it } from 'vitest';
import { createMemoryRows } from './simulation/memory-rows.ts';
import { playSchedule } from './simulation/simulation.ts';

const runs = Number(process.env['RUNS'] ?? 300);

describe('random schedules', () => {
  it('tells', async () => {
    const sum: Record<string, number> = {}; const old = { events: 0, kills: 0, takeOvers: 0, resumptions: 0 };
    for (let seed = Number(process.env['SEED'] ?? 1); seed < Number(process.env['SEED'] ?? 1) + runs; seed += 1) {
      const t = await playSchedule(seed, createMemoryRows);
      for (const [k, v] of [...Object.entries(t), ...Object.entries(t.statuses)]) if (typeof v === 'number') sum[k] = (sum[k] ?? 0) + v;
    }
    console.log(sum);
    expect(sum['events']).toBeGreaterThan(0);
  });
});
