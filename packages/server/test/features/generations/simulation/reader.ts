import { isDeepStrictEqual } from 'node:util';
import { isTerminalEvent, type GenerationEvent } from '@chat-service/shared/events';
import { toMessage } from '../../../../src/features/generations/message-row.ts';
import { formatEventId, parseEventId, type Position } from '../../../../src/features/generations/position.ts';
import type { ReaderRequest } from '../../../../src/features/generations/resolve-reader.ts';
import { createIdentify, type EventStream } from '../../../../src/features/messages/follow-message.ts';
import { ConnectionSevered } from '../../../../src/platform/connection-severed.ts';
import { ServiceError } from '../../../../src/platform/service-error.ts';
import type { Instance } from './instance.ts';
import { DatabaseAway, userId, type Rows } from './rows.ts';
import { textAt, type Script } from './script.ts';

/** A generation as those who look at it from outside know it. */
export interface KnownGeneration {
  readonly id: string;
  readonly sessionId: string;
  readonly claimFence: number;
  readonly script: Script;
}

/**
 * What a reader presents when it comes: nothing, the last id that it has, an id that nobody can read, or one of another
 * session; `claimed`: as the one who has just started the generation.
 */
export type Approach = 'claimed' | 'named' | 'latest' | 'resume' | 'resume-named' | 'unreadable' | 'foreign';

/** A client with its connections, one after the other: measures every event by the truth. */
export interface Reader {
  readonly name: string;
  readonly generation: KnownGeneration;
  /** How it came to its end, null while it has not. */
  readonly outcome: 'ended' | 'refused' | null;
  readonly instance: Instance | null;
  readonly hasText: boolean;
  readonly canPull: boolean;
  connect(instance: Instance, approach: Approach): void;
  /** Asks for the next event. */
  pull(): void;
  cut(): void;
  /** Comes back with the id of the terminal event. */
  comeBack(): void;
}

interface Connection {
  readonly instance: Instance;
  readonly stream: EventStream;
  readonly controller: AbortController;
  readonly approach: Approach;
  pulling: boolean;
  events: number;
}

export interface ReaderOptions {
  readonly rows: Rows;
  readonly trace: (line: string) => void;
  readonly violation: (text: string) => void;
  /** Called for every event that a reader is sent. */
  readonly delivered: (type: GenerationEvent['type']) => void;
}

const foreignSession = '00000000-0000-7000-8000-0000ffffffff';

export function createReader(name: string, generation: KnownGeneration, options: ReaderOptions): Reader {
  const { id: generationId, sessionId, claimFence, script } = generation;
  const { rows, trace } = options;
  let connection: Connection | null = null;
  let lastId: string | null = null;
  let text: string | null = null;
  let outcome: Reader['outcome'] = null;
  let isBack = false;

  const violation = (problem: string) => options.violation(`${name}: ${problem}`);

  function open(instance: Instance, approach: Approach, signal: AbortSignal): EventStream {
    const follow = (request: ReaderRequest) => resolveAndFollow(instance, request, signal);
    const named = { userId, sessionId, generationId };
    switch (approach) {
      case 'claimed':
        return createIdentify(instance.followGeneration, null)(
          { generationId, sessionId, claimFence, from: 'start' },
          null,
          signal,
        );
      case 'named':
        return follow(named);
      case 'latest':
        return follow({ userId, sessionId });
      case 'resume':
        return follow({ userId, sessionId, lastEventId: lastId });
      case 'resume-named':
        return follow({ ...named, lastEventId: lastId });
      case 'unreadable':
        return follow({ ...named, lastEventId: 'nonsense' });
      case 'foreign':
        return follow({ ...named, lastEventId: formatEventId(foreignSession, { fence: 1, number: 2 }) });
    }
  }

  function leave(): void {
    const left = connection;
    connection = null;
    left?.controller.abort();
    void left?.stream.return();
  }

  /** What the text has to be at a position: what the owner had said, or what was stored in its place. */
  async function truthAt({ fence, number }: Position): Promise<string | null> {
    if (fence === claimFence) return number < 1 || number > script.texts.length + 2 ? null : textAt(script, number);
    const row = await rows.generation(generationId);
    if (row === null || fence < claimFence || fence > row.fence || number < 1 || number > 2) return null;
    return (await rows.message(generationId))?.content ?? null;
  }

  async function check(id: string, event: GenerationEvent, approach: Approach, isFirst: boolean): Promise<void> {
    const position = parseEventId(sessionId, id);
    if (position === null) return violation(`cannot read the id ${id}`);
    if (event.streamId !== generationId) return violation(`was sent an event of ${event.streamId}`);
    if (lastId !== null && id <= lastId) return violation(`was sent ${id} after ${lastId}`);
    lastId = id;
    if (isFirst && text === null && ['claimed', 'named', 'latest'].includes(approach) && event.type !== 'start') {
      violation(`was sent ${event.type} before the start`);
    }
    switch (event.type) {
      case 'start':
        if (text !== null) return violation('was sent a second start');
        if (position.fence !== claimFence || position.number !== 1)
          return violation('was sent a start out of its place');
        text = '';
        break;
      case 'chunk':
        if (text === null) return violation('was sent a chunk before it had anything');
        if (event.text === '') return violation('was sent an empty chunk');
        text += event.text;
        break;
      case 'resync':
        text = event.message.content;
        break;
      case 'done':
      case 'error':
        if (text !== event.message.content) violation(`has ${text} at the end of ${event.message.content}`);
        break;
    }
    if (isFirst && (approach === 'unreadable' || approach === 'foreign') && event.type !== 'resync') {
      violation(`was sent ${event.type} where nothing of it could be served`);
    }
    if (isTerminalEvent(event)) await checkEnd(position, event.message);
    else {
      const truth = await truthAt(position);
      if (text !== truth) violation(`has ${text} at ${position.fence}-${position.number}, the truth is ${truth}`);
    }
  }

  async function checkEnd(position: Position, told: unknown): Promise<void> {
    outcome = 'ended';
    const [row, message] = [await rows.generation(generationId), await rows.message(generationId)];
    if (row === null || message === null) return violation('was told the end of what is not stored');
    if (row.endFence !== position.fence || row.endNumber !== position.number) {
      violation(
        `was told the end at ${position.fence}-${position.number}, the row says ${row.endFence}-${row.endNumber}`,
      );
    }
    if (message.content !== text) violation(`has ${text}, stored is ${message.content}`);
    if (!isDeepStrictEqual(told, toMessage(message))) violation('was told another end than the stored one');
  }

  async function finish(current: Connection): Promise<void> {
    connection = null;
    if (isBack || current.approach === 'latest') return;
    if (outcome === null) violation('was left without a terminal event');
  }

  async function fail(error: unknown): Promise<void> {
    leave();
    if (error instanceof ConnectionSevered || error instanceof DatabaseAway) return;
    const row = await rows.generation(generationId);
    if (error instanceof ServiceError && row?.status === 'refused' && row.refusal?.code === error.code) {
      outcome = 'refused';
      return;
    }
    violation(`met ${String(error)}`);
  }

  return {
    name,
    generation,
    get outcome() {
      return outcome;
    },
    get instance() {
      return connection?.instance ?? null;
    },
    get hasText() {
      return lastId !== null;
    },
    get canPull() {
      return connection !== null && !connection.pulling && connection.instance.process.state === 'running';
    },
    connect(instance, approach) {
      leave();
      trace(`${name} comes to ${instance.process.name}, ${approach} ${lastId ?? ''}`);
      const controller = new AbortController();
      const stream = open(instance, approach, controller.signal);
      if (approach === 'unreadable' || approach === 'foreign') {
        lastId = null;
        text = null;
      }
      connection = { instance, stream, controller, approach, pulling: false, events: 0 };
    },
    pull() {
      const current = connection;
      if (current === null) return;
      current.pulling = true;
      current.stream
        .next()
        .then(async (next) => {
          // What a connection still says when it is cut reaches nobody.
          if (connection !== current) return;
          current.pulling = false;
          if (next.done === true) return finish(current);
          const { id, event } = next.value;
          trace(`${name} gets ${id.slice(0, 16)} ${event.type}`);
          if (isBack) violation(`was sent ${event.type} after the end`);
          if (outcome !== null) return;
          // The latest generation need not be the one that this reader is about.
          if (current.approach === 'latest' && current.events === 0 && event.streamId !== generationId) return leave();
          current.events += 1;
          options.delivered(event.type);
          await check(id, event, current.approach, current.events === 1);
          if (isTerminalEvent(event)) leave();
        })
        .catch((error: unknown) => (connection === current ? fail(error) : undefined))
        .catch((error: unknown) => violation(String(error)));
    },
    cut() {
      trace(`${name} is cut`);
      leave();
    },
    comeBack() {
      isBack = true;
    },
  };
}

async function* resolveAndFollow(instance: Instance, request: ReaderRequest, signal: AbortSignal): EventStream {
  const reader = await instance.resolveReader(request);
  if (reader !== null) yield* createIdentify(instance.followGeneration, null)(reader, null, signal);
}
