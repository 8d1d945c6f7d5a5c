import { setTimeout as after } from 'node:timers/promises';
import { freePort } from '../src/free-port.ts';
import type { World } from '../src/world.ts';
import { startMeasured, type MeasuredProcess } from './measured-process.ts';

export interface MeasuredService extends MeasuredProcess {
  /** Of its HTTP server. */
  readonly url: string;
}

const program = new URL('../../../packages/server/src/main.ts', import.meta.url);

/** The service as an operator runs it, in a process of its own; its log is written, and read by nobody. */
export async function startService(world: World): Promise<MeasuredService> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = { ...world.env, PORT: `${port}`, NODE_ENV: 'production', LEASE_SECONDS: '', LOG_LEVEL: 'info' };
  const measured = startMeasured(program, { args: ['serve'], env, mute: true });
  const ended = measured.hear('never');
  ended.catch(() => {});
  for (;;) {
    const health = await Promise.race([fetch(`${url}/api/health`).catch(() => null), ended]);
    if (health instanceof Response && health.ok) return { ...measured, url };
    await after(50);
  }
}
