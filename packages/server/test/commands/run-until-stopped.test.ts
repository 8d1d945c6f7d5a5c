import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { runUntilStopped, type RunningApp } from '../../src/commands/run-until-stopped.ts';
import { createLogger } from '../../src/platform/logger.ts';
import { createManualClock } from '../platform/manual-clock.ts';

function world(parts: Partial<RunningApp> = {}, start?: () => Promise<RunningApp>) {
  const events: string[] = [];
  const clock = createManualClock();
  const signals = new EventEmitter();
  const app: RunningApp = {
    listen: async () => ({ url: 'http://127.0.0.1:1' }),
    drain: async () => ({ clean: true }),
    [Symbol.asyncDispose]: async () => void events.push('disposed'),
    ...parts,
  };
  const exitCode = runUntilStopped({
    start: start ?? (async () => app),
    onListening: async (url) => void events.push(`listening ${url}`),
    onFailedStart: (error) => void events.push(`failed: ${String(error)}`),
    signals,
    graceMs: 1000,
    clock,
    logger: createLogger({ level: 'silent', destination: { write() {} } }),
  }).then((code) => {
    events.push(`exit ${code}`);
    return code;
  });
  return { clock, events, signals, exitCode };
}

const never = () => new Promise<never>(() => {});

describe('runUntilStopped', () => {
  it.each([
    ['SIGTERM', true, 0],
    ['SIGINT', true, 0],
    ['SIGTERM', false, 1],
  ] as const)('on %s drains, closes and leaves (clean: %s → %i)', async (signal, clean, code) => {
    const { clock, events, signals, exitCode } = world({ drain: async () => ({ clean }) });
    await clock.advance(60_000);
    expect(events).toEqual(['listening http://127.0.0.1:1']);
    signals.emit(signal, signal);
    expect(await exitCode).toBe(code);
    expect(events).toEqual(['listening http://127.0.0.1:1', 'disposed', `exit ${code}`]);
    expect(signals.eventNames()).toEqual([]);
  });

  it('leaves 4.5 s after the grace at the latest, with 1 when ends are not stored', async () => {
    const { clock, events, signals } = world({ drain: never });
    await clock.advance(0);
    signals.emit('SIGTERM', 'SIGTERM');
    await clock.advance(5499);
    expect(events).not.toContain('exit 1');
    await clock.advance(1);
    expect(events).toContain('exit 1');
  });

  it('leaves with 0 when every end is stored and only closing hangs', async () => {
    const { clock, events, signals } = world({ [Symbol.asyncDispose]: never });
    await clock.advance(0);
    signals.emit('SIGTERM', 'SIGTERM');
    await clock.advance(5500);
    expect(events).toContain('exit 0');
  });

  it('leaves at once on a second SIGINT, but not on the echo of the first', async () => {
    const { clock, events, signals } = world({ drain: never });
    await clock.advance(0);
    signals.emit('SIGINT', 'SIGINT');
    await clock.advance(499);
    signals.emit('SIGINT', 'SIGINT');
    signals.emit('SIGTERM', 'SIGTERM');
    await clock.advance(1);
    expect(events).not.toContain('exit 1');
    signals.emit('SIGINT', 'SIGINT');
    await clock.advance(0);
    expect(events).toContain('exit 1');
  });

  it('leaves with 1 when draining fails', async () => {
    const { clock, signals, exitCode } = world({
      drain: async () => {
        throw new Error('no');
      },
    });
    await clock.advance(0);
    signals.emit('SIGTERM', 'SIGTERM');
    expect(await exitCode).toBe(1);
  });

  it('tells why it did not start, and closes what was open', async () => {
    const refused = world({}, async () => {
      throw new Error('locked');
    });
    expect(await refused.exitCode).toBe(1);
    expect(refused.events).toEqual(['failed: Error: locked', 'exit 1']);
    const inUse = world({
      listen: async () => {
        throw new Error('in use');
      },
    });
    expect(await inUse.exitCode).toBe(1);
    expect(inUse.events).toEqual(['disposed', 'failed: Error: in use', 'exit 1']);
  });

  it('leaves with 0 when it is stopped while it waits to start', async () => {
    const { clock, signals, exitCode } = world({}, never);
    await clock.advance(0);
    signals.emit('SIGTERM', 'SIGTERM');
    expect(await exitCode).toBe(0);
  });
});
