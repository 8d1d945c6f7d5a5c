import { Writable } from 'node:stream';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { startFakeOpenAi, type FakeOpenAi } from '../../../../../apps/e2e/src/fake-openai.ts';
import {
  createOpenAiProvider,
  type OpenAiProviderOptions,
} from '../../../src/clients/providers/openai/openai-provider.ts';
import type {
  Provider,
  ProviderEvent,
  ProviderModel,
  ProviderRequest,
  ProviderTimeouts,
} from '../../../src/clients/providers/provider.ts';
import type { Logger } from '../../../src/platform/logger.ts';
import { createManualClock, type ManualClock } from '../../platform/manual-clock.ts';

export const timeouts: ProviderTimeouts = { firstToken: 60_000, idle: 60_000, total: 600_000 };

export function requestOf(message: string, changes: Partial<ProviderRequest> = {}): ProviderRequest {
  return {
    model: { providerModel: 'fake-1', timeouts },
    messages: [{ role: 'user', content: message }],
    parameters: {},
    maxTokens: 100,
    generationId: '0190a1b2-0000-7000-8000-000000000001',
    ...changes,
  };
}

export interface RecordingLogger {
  readonly logger: Logger;
  readonly lines: readonly string[];
  /** Resolves once so many lines contain the words. */
  logged(words: string, count?: number): Promise<void>;
}

export function createRecordingLogger(): RecordingLogger {
  const lines: string[] = [];
  const waiters = new Set<() => void>();
  const stream = new Writable({
    write(line: Buffer, _encoding, done) {
      lines.push(line.toString());
      for (const waiter of waiters) waiter();
      done();
    },
  });
  return {
    logger: pino({ level: 'trace' }, stream),
    lines,
    logged(words, count = 1) {
      return new Promise((resolve) => {
        const check = () => {
          if (lines.filter((line) => line.includes(words)).length < count) return;
          waiters.delete(check);
          resolve();
        };
        waiters.add(check);
        check();
      });
    },
  };
}

export interface ProviderWorld {
  readonly fake: FakeOpenAi;
  readonly clock: ManualClock;
  readonly log: RecordingLogger;
  readonly provider: Provider;
}

/** An OpenAI provider before a fake upstream, with hands on its clock; gone when the test ends. */
export async function createProviderWorld(changes: Partial<OpenAiProviderOptions> = {}): Promise<ProviderWorld> {
  const fake = await startFakeOpenAi();
  onTestFinished(() => fake[Symbol.asyncDispose]());
  const clock = createManualClock();
  const log = createRecordingLogger();
  const provider = createOpenAiProvider({
    apiKey: 'sk-secret',
    baseUrl: fake.baseUrl,
    lookUp: () => undefined,
    clock,
    logger: log.logger,
    random: () => 1,
    ...changes,
  });
  return { fake, clock, log, provider };
}

export interface Outcome {
  readonly text: string;
  readonly texts: readonly string[];
  readonly events: readonly ProviderEvent[];
  /** What the stream threw, null when it ended by itself. */
  readonly error: unknown;
}

/** Reads a stream to its end, whatever that is. */
export async function collect(events: AsyncIterable<ProviderEvent>): Promise<Outcome> {
  const seen: ProviderEvent[] = [];
  let error: unknown = null;
  try {
    for await (const event of events) seen.push(event);
  } catch (thrown) {
    error = thrown;
  }
  const texts = seen.flatMap((event) => (event.type === 'text' ? [event.text] : []));
  return { text: texts.join(''), texts, events: seen, error };
}

export const signal = () => new AbortController().signal;

export function modelAt(changes: Partial<ProviderModel>): ProviderModel {
  return { providerModel: 'fake-1', timeouts, ...changes };
}
