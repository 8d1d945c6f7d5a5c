import type { ErrorCode } from '@chat-service/shared/errors';
import type { FinishReason, Message } from '@chat-service/shared/objects';
import { ProviderError, type ProviderUsage } from '../../clients/providers/provider.ts';
import { delay, type Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import type { CatalogueModel } from '../models/catalogue.ts';
import type { StreamCompletion } from '../models/stream-completion.ts';
import type { AdmittedGeneration, PreparedPrompt } from './admit-generation.ts';
import type { CountTokens } from './count-tokens.ts';
import type { EndGeneration, GenerationOutcome } from './end-generation.ts';
import { terminalEvent } from './generation-events.ts';
import type { FencedGeneration } from './generations-store.ts';
import type { GenerationLog } from './generation-log.ts';
import type { GenerationOwner } from './generation-owner.ts';
import { nextPosition } from './position.ts';
import type { Probe } from './probe.ts';
import { createRunningGeneration, type Cancellation, type RunningGeneration } from './running-generation.ts';
import { usageCounted, usageToldBy } from './usage-of.ts';

export interface RunDependencies {
  readonly log: GenerationLog;
  readonly owner: GenerationOwner;
  readonly streamCompletion: StreamCompletion;
  /** Stores which model answers, where it is another one. */
  readonly serve: (generation: FencedGeneration, modelId: string) => Promise<void>;
  readonly end: EndGeneration;
  readonly loadTokenCounter: () => Promise<CountTokens>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly probe: Probe;
}

/** Sets a generation going; it belongs to the server from here on, whoever watches. */
export type RunGeneration = (admitted: AdmittedGeneration) => void;

/** How the model's stream ended, before it is known what that means for the message. */
interface StreamResult {
  servedBy: string;
  finishReason: Exclude<FinishReason, 'stopped'> | null;
  usage: ProviderUsage | null;
  /** Null when it ended as it should. */
  failure: ErrorCode | null;
  /** Whether the model was called at all. */
  called: boolean;
}

/** Beyond any token that is not padding. */
const unitsPerToken = 32;
/** Held in memory, counted and stored as one text. */
const maxAnswerUnits = 16 * 1024 * 1024;
/** How long the end of a generation is tried to be stored. */
const endPatienceMs = 30_000;

export function createRunGeneration(deps: RunDependencies): RunGeneration {
  const { log, owner, clock, logger, probe } = deps;

  /** Reads the model's answer into the log, until it ends, fails or is cancelled. */
  async function produce(admitted: AdmittedGeneration, running: RunningGeneration): Promise<StreamResult> {
    const { id, sessionId, modelId, prompt } = admitted;
    const { parameters } = prompt;
    const prepare = (model: CatalogueModel) => promptFor(prompt, model);
    const result: StreamResult = { servedBy: modelId, finishReason: null, usage: null, failure: null, called: false };
    try {
      const events = deps.streamCompletion({ modelId, prepare, parameters, generationId: id }, running.signal);
      await probe('provider-called', id);
      running.signal.throwIfAborted();
      result.called = true;
      for await (const event of events) {
        // What comes after the first cause is ignored, a usage figure too.
        running.signal.throwIfAborted();
        switch (event.type) {
          case 'serving':
            result.servedBy = event.modelId;
            if (event.modelId !== modelId) await noteServing(admitted, event.modelId);
            break;
          case 'text':
            await publish(running, event.text);
            await probe('streaming', id);
            if (running.text.length > mostText(prompt)) {
              logger.warn({ generationId: id, modelId: result.servedBy }, 'a model does not keep to its output limit');
              // Leaving the loop cancels upstream.
              return { ...result, finishReason: 'length' };
            }
            break;
          case 'usage':
            result.usage = event.usage;
            break;
          case 'finish':
            result.finishReason = event.reason;
            break;
        }
      }
      running.signal.throwIfAborted();
      if (result.finishReason === null)
        throw new ProviderError('MODEL_ERROR', 'The stream ended without a finish reason.');
    } catch (error) {
      if (running.cancellation === null) {
        result.failure = error instanceof ProviderError ? error.code : 'INTERNAL';
        logger.warn({ err: error, generationId: id, sessionId, modelId: result.servedBy }, 'the model failed');
      }
    }
    return result;
  }

  /** For whoever would end it in this process's place; without it that one takes the model asked for. */
  async function noteServing(admitted: AdmittedGeneration, modelId: string): Promise<void> {
    try {
      await deps.serve(admitted, modelId);
    } catch (error) {
      logger.error({ err: error, generationId: admitted.id, modelId }, 'could not store which model answers');
    }
  }

  async function publish(running: RunningGeneration, text: string): Promise<void> {
    if (text === '') return;
    if (!(await owner.confirm(running))) {
      running.cancel('fenced');
      running.signal.throwIfAborted();
    }
    const previous = running.position;
    const position = nextPosition(previous);
    running.append(text, position);
    await log.append(running.sessionId, [{ position, previous, event: { type: 'chunk', streamId: running.id, text } }]);
  }

  async function decide(
    admitted: AdmittedGeneration,
    running: RunningGeneration,
    result: StreamResult,
  ): Promise<GenerationOutcome> {
    const { modelId, prompt } = admitted;
    const { text } = running;
    const { servedBy, failure } = result;
    const price = prompt.prices[servedBy] ?? { input: 0, output: 0 };
    const kind = outcomeOf(running.cancellation, failure);
    const nothingProduced =
      !result.called || (text === '' && (kind.status === 'failed' || kind.status === 'interrupted'));
    const countTokens = await deps.loadTokenCounter();
    const told = kind.status === 'complete' || kind.status === 'stopped' ? result.usage : null;
    const counted = () => usageCounted(prompt.promptTokens, countTokens(text), price);
    return {
      ...kind,
      text,
      textPosition: running.position,
      endPosition: nextPosition(running.position),
      usage: nothingProduced ? null : told === null ? counted() : usageToldBy(told, price),
      finishReason: kind.status === 'complete' ? result.finishReason : kind.finishReason,
      modelId: servedBy,
      fallbackFrom: servedBy === modelId ? null : modelId,
    };
  }

  /** Tries for as long as a database may reasonably be away. */
  async function storeEnd(
    admitted: AdmittedGeneration,
    outcome: GenerationOutcome,
  ): Promise<Message | 'taken-over' | 'not-stored'> {
    const giveUpAt = clock.now() + endPatienceMs;
    for (let wait = 100; ; wait = Math.min(wait * 2, 2000)) {
      try {
        return (await deps.end(admitted, outcome)) ?? 'taken-over';
      } catch (error) {
        logger.error({ err: error, generationId: admitted.id }, 'could not store the end of a generation');
        if (clock.now() + wait > giveUpAt) return 'not-stored';
        await delay(clock, wait);
      }
    }
  }

  async function run(admitted: AdmittedGeneration, running: RunningGeneration): Promise<void> {
    const { id, sessionId, position, previous, start } = admitted;
    await log.append(sessionId, [{ position, previous, event: start }]);
    const result = await produce(admitted, running);
    running.settle();
    if (running.cancellation === 'fenced') {
      logger.warn({ generationId: id, sessionId }, 'another instance has taken over a generation');
      log.retire(sessionId);
      log.nudge(sessionId);
      return;
    }
    const outcome = await decide(admitted, running, result);
    await probe('ending', id);
    const message = await storeEnd(admitted, outcome);
    if (typeof message === 'string') log.retire(sessionId);
    if (message === 'taken-over') return void log.nudge(sessionId);
    if (message === 'not-stored') return void log.sever(sessionId);
    await probe('ended', id);
    const last = { position: outcome.endPosition, previous: outcome.textPosition, event: terminalEvent(message) };
    await log.append(sessionId, [last]);
    await probe('published', id);
    logger.info(
      { generationId: id, sessionId, modelId: outcome.modelId, status: outcome.status, usage: outcome.usage },
      'generation ended',
    );
  }

  return function runGeneration(admitted) {
    const running = createRunningGeneration(admitted);
    owner.own(running, admitted.confirmedAt, () => run(admitted, running));
  };
}

/** More code units than an answer of the limit's tokens can reasonably have: a provider may not know the limit at all. */
function mostText({ maxTokens }: PreparedPrompt): number {
  return Math.min(maxTokens * unitsPerToken, maxAnswerUnits);
}

/** What a model of the fallback chain is sent: the same prompt, with less room for the answer where it has less. */
function promptFor({ messages, maxTokens, promptTokens }: PreparedPrompt, model: CatalogueModel) {
  const room = Math.min(maxTokens, model.maxTokens, model.contextWindow - promptTokens);
  return room < 1 ? null : { messages, maxTokens: room };
}

type OutcomeKind = Pick<GenerationOutcome, 'status' | 'finishReason' | 'errorCode' | 'stoppedBy'>;

/** The first cause wins: what was cancelled did not fail, and what failed was not stopped. */
function outcomeOf(cancellation: Cancellation | null, failure: ErrorCode | null): OutcomeKind {
  switch (cancellation) {
    case 'user':
    case 'deletion':
      return { status: 'stopped', finishReason: 'stopped', errorCode: null, stoppedBy: 'user' };
    case 'supervisor':
      return { status: 'stopped', finishReason: 'stopped', errorCode: null, stoppedBy: 'supervisor' };
    case 'shutdown':
    case 'fenced':
      return { status: 'interrupted', finishReason: null, errorCode: 'INTERRUPTED', stoppedBy: null };
    case null:
      return failure === null
        ? { status: 'complete', finishReason: null, errorCode: null, stoppedBy: null }
        : { status: 'failed', finishReason: null, errorCode: failure, stoppedBy: null };
  }
}
