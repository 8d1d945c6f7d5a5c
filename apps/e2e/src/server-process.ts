import { createApp } from '@chat-service/server/app';
import { runUntilStopped } from '@chat-service/server/commands/run-until-stopped';
import type { ProbePoint } from '@chat-service/server/features/generations/probe';
import { systemClock, type Clock } from '@chat-service/server/platform/clock';
import { createLogger } from '@chat-service/server/platform/logger';
import { configOf } from './config-of.ts';
import { cutsShutdownShort } from './shutdown-timers.ts';

/*
 * The service in a process of its own, as `serve` runs it, that can be told to die or to freeze at a named moment of a
 * generation's life: argument 1 is JSON of { SIGKILL?: { point, nth? }, SIGSTOP?: { point, nth? }, isUnhurried }. A message
 * from its parent replaces these moments, counted from then on, and is answered; with `shiftSeconds` it moves the hands of
 * the clock forward. It does not outlive its parent.
 */

type Moments = Partial<Record<'SIGKILL' | 'SIGSTOP', { point: ProbePoint; nth?: number }>> & { shiftSeconds?: number };

const unhurriedMilliseconds = 120_000;

const { isUnhurried, ...first } = JSON.parse(process.argv[2] ?? '{}') as Moments & { isUnhurried: boolean };
let moments: Moments = first;
const seen = new Map<ProbePoint, number>();
let offset = 0;
const clock: Clock = {
  now: () => systemClock.now() + offset,
  after(milliseconds, callback) {
    const isStretched = isUnhurried && cutsShutdownShort(milliseconds);
    return systemClock.after(isStretched ? unhurriedMilliseconds : milliseconds, callback);
  },
};
process.on('message', (message: Moments) => {
  moments = message;
  offset += (message.shiftSeconds ?? 0) * 1000;
  seen.clear();
  process.send?.('armed');
});
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

function probe(point: ProbePoint): void {
  const times = (seen.get(point) ?? 0) + 1;
  seen.set(point, times);
  for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
    const moment = moments[signal];
    if (moment?.point === point && times === (moment.nth ?? 1)) process.kill(process.pid, signal);
  }
}

const config = configOf(process.env);
const logger = createLogger({ level: config.logging.level, destination: process.stderr });
setInterval(() => {}, 60_000);
process.exit(
  await runUntilStopped({
    start: () => createApp(config, { logger, probe, clock }),
    onListening: async (url) => void process.stdout.write(`${url}\n`),
    onFailedStart: (error) => void process.stderr.write(`${String(error)}\n`),
    signals: process,
    graceMs: config.shutdownGraceMs,
    clock,
    logger,
  }),
);
