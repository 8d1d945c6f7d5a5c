import { isTerminalEvent } from '@chat-service/shared/events';
import { expect, vi } from 'vitest';
import type { Database, Tables } from '@chat-service/server/db/database';
import { patience } from './call-for.ts';
import type { Received } from './collect.ts';
import type { FakeCall, FakeOpenAi } from './fake-openai.ts';
import { checkMoney } from './money-invariants.ts';
import type { World } from './world.ts';

type SessionRow = Tables['sessions']['$inferSelect'];
type MessageRow = Tables['messages']['$inferSelect'];
type GenerationRow = Tables['generations']['$inferSelect'];

/** What the database holds, of one session or of all. */
export interface Rows {
  readonly sessions: readonly SessionRow[];
  /** In the order of their session. */
  readonly messages: readonly MessageRow[];
  /** In the order of their claims. */
  readonly generations: readonly GenerationRow[];
  readonly segments: readonly Tables['generationSegments']['$inferSelect'][];
  readonly keys: readonly Tables['idempotencyKeys']['$inferSelect'][];
}

/** What one reader was given. */
export interface Reader {
  readonly events: readonly Received[];
  /** What it had before, when it went on after an event. @default '' */
  readonly text?: string;
}

/** What holds of every database that the service has written to, whatever happened to the service meanwhile. */
export interface Invariants {
  rows(sessionId?: string): Promise<Rows>;
  /** Waits until nothing is generated any more, as long as a lease and a look for expired ones may take. */
  settled(sessionId?: string): Promise<Rows>;
  /**
   * Asserts all of it over rows at rest, the provider's journal and what readers of these rows were given. Texts of user
   * messages must differ: by them a call is known. An end that an earlier check has seen must be the same.
   */
  check(sessionId?: string, readers?: readonly Reader[]): Promise<Rows>;
}

export async function openInvariants(world: Pick<World, 'openDatabase' | 'openai'>): Promise<Invariants> {
  const database = await world.openDatabase();
  const ends = new Map<string, unknown>();
  const rows = (sessionId?: string) => readRows(database, sessionId);
  return {
    rows,
    settled: (sessionId) =>
      vi.waitFor(
        async () => {
          const found = await rows(sessionId);
          expect(found.generations.filter(isLive)).toEqual([]);
          return found;
        },
        { ...patience, interval: 25 },
      ),
    async check(sessionId, readers = []) {
      const found = await rows(sessionId);
      for (const session of found.sessions) checkSession(session, found);
      for (const generation of found.generations) {
        checkGeneration(generation, found);
        if (generation.status !== 'refused') checkAgainstProvider(generation, found, world.openai);
        const message = found.messages.find(({ id }) => id === generation.id);
        const { status, endFence, endNumber } = generation;
        const end = { status, endFence, endNumber, message };
        expect(end, 'an end never changes').toEqual(ends.get(generation.id) ?? end);
        ends.set(generation.id, end);
      }
      await checkMoney(database);
      checkKeys(found);
      checkReaders(readers, found, world.openai);
      return found;
    },
  };
}

function isLive({ status }: GenerationRow): boolean {
  return status === 'reserving' || status === 'running';
}

async function readRows({ query, tables }: Database, sessionId?: string): Promise<Rows> {
  const wanted = (row: { sessionId: string }) => sessionId === undefined || row.sessionId === sessionId;
  const sessions = await query.select().from(tables.sessions);
  const messages = await query.select().from(tables.messages);
  const generations = (await query.select().from(tables.generations)).filter(wanted);
  const segments = await query.select().from(tables.generationSegments);
  const keys = await query.select().from(tables.idempotencyKeys);
  const ids = new Set(generations.map(({ id }) => id));
  return {
    sessions: sessions.filter(({ id }) => sessionId === undefined || id === sessionId),
    messages: messages.filter(wanted).toSorted((a, b) => a.sequence - b.sequence),
    generations: generations.toSorted((a, b) => a.claimFence - b.claimFence),
    segments: segments.filter(({ generationId }) => sessionId === undefined || ids.has(generationId)),
    keys: keys.filter(wanted),
  };
}

function checkSession(session: SessionRow, rows: Rows): void {
  const messages = rows.messages.filter(({ sessionId }) => sessionId === session.id);
  const generations = rows.generations.filter(({ sessionId }) => sessionId === session.id);
  expect(session.deletedAt, 'no tombstone has rows').toBeNull();
  expect(generations.filter(isLive), 'nothing is live').toEqual([]);
  expect(session.activeGenerationId, 'the slot is free').toBeNull();
  expect(session.messageCount, 'messages are counted').toBe(messages.length);
  expect(session.nextSequence).toBeGreaterThan(messages.at(-1)?.sequence ?? 0);
  expect(session.lastMessageAt?.getTime()).toBe(messages.at(-1)?.createdAt.getTime());
  const fences = generations.map(({ claimFence }) => claimFence);
  expect(fences, 'a fence for each claim').toEqual([...new Set(fences)]);
  expect(session.fence).toBeGreaterThanOrEqual(Math.max(0, ...generations.map(({ fence }) => fence)));
  const last = generations.findLast(({ status }) => status !== 'refused');
  const { logFence, logNumber } = session;
  expect({ logFence, logNumber }, 'the log is known to its last end').toEqual({
    logFence: last?.endFence ?? 0,
    logNumber: last?.endNumber ?? 0,
  });
  const answers = messages.filter(({ role }) => role === 'assistant').map(({ id }) => id);
  expect(answers, 'an answer for each admitted generation').toEqual(
    generations.filter(({ status }) => status !== 'refused').map(({ id }) => id),
  );
}

function checkGeneration(generation: GenerationRow, { messages, segments }: Rows): void {
  const { id, status, userMessageId } = generation;
  expect(
    segments.filter(({ generationId }) => generationId === id),
    'text is folded into the message',
  ).toEqual([]);
  expect(generation.endedAt).not.toBeNull();
  const answer = messages.find((message) => message.id === id);
  if (status === 'refused') {
    expect(generation.refusal).not.toBeNull();
    expect([answer, userMessageId], 'what is refused stores nothing').toEqual([undefined, null]);
    return;
  }
  const question = messages.find((message) => message.id === userMessageId);
  expect(question).toMatchObject({ role: 'user', status: 'complete' });
  expect(answer).toMatchObject({ role: 'assistant', status });
  expect(answer?.sequence).toBeGreaterThan(question?.sequence ?? Infinity);
  const { stoppedBy = null, finishReason = null, errorCode = null } = answer ?? {};
  expect(stoppedBy !== null, 'only a stop has a stopper').toBe(status === 'stopped');
  expect(finishReason === 'stopped').toBe(status === 'stopped');
  expect(finishReason !== null, 'only an end that is no failure has a reason').toBe(
    status === 'stopped' || status === 'complete',
  );
  expect(errorCode !== null, 'only a failure has a code').toBe(status === 'failed' || status === 'interrupted');
  expect(errorCode === 'INTERRUPTED').toBe(status === 'interrupted');
  expect(generation.endFence, 'whoever held the fence has ended it').toBe(generation.fence);
  expect(generation.endNumber).toBeGreaterThan(generation.textNumber);
}

/** Neighbours of one role reach the model joined, so a question may come at the end of those before it. */
function callsFor(question: string, { calls }: FakeOpenAi): FakeCall[] {
  return calls.filter(
    ({ lastUserMessage }) => lastUserMessage === question || lastUserMessage.endsWith(`\n\n${question}`),
  );
}

function checkAgainstProvider({ id, status, userMessageId }: GenerationRow, rows: Rows, openai: FakeOpenAi): void {
  const question = rows.messages.find((message) => message.id === userMessageId);
  const answer = rows.messages.find((message) => message.id === id);
  const calls = callsFor(question?.content ?? '', openai);
  const answered = rows.generations.filter((other) => other.userMessageId === userMessageId);
  expect(
    calls.filter(({ sent }) => sent.length > 0).length,
    'one call that produced a token for a generation',
  ).toBeLessThanOrEqual(answered.length);
  const texts = calls.map(({ sent }) => sent.join(''));
  if (status === 'complete') expect(texts).toContain(answer?.content);
  else if (answer?.content !== '') {
    expect(
      texts.some((text) => text.startsWith(answer?.content ?? ' ')),
      `"${answer?.content}" was sent`,
    ).toBe(true);
  }
}

/** A key outlives its session, so that a late repeat is recognised. */
function checkKeys({ keys, sessions, generations }: Rows): void {
  const present = keys.filter(({ sessionId }) => sessions.some(({ id }) => id === sessionId));
  const named = present.flatMap(({ generationId }) => generationId ?? []);
  expect(named, 'a key for one generation').toEqual([...new Set(named)]);
  for (const id of named) {
    const status = generations.find((generation) => generation.id === id)?.status;
    expect(status, 'only what was admitted is remembered').toMatch(/^(complete|stopped|failed|interrupted)$/u);
  }
}

function checkReaders(readers: readonly Reader[], { messages, generations }: Rows, openai: FakeOpenAi): void {
  const texts = new Map<string, string>();
  for (const { events, text: before = '' } of readers) {
    const ids = events.map(({ id }) => id);
    expect(ids, 'ids increase').toEqual([...new Set(ids)].toSorted());
    expect(events.slice(0, -1).filter(({ event }) => isTerminalEvent(event))).toEqual([]);
    let text = before;
    for (const { id, event } of events) {
      const generation = generations.find((row) => row.id === event.streamId);
      const row = messages.find((message) => message.id === event.streamId);
      const question = messages.find((message) => message.id === generation?.userMessageId);
      if (event.type === 'chunk') text += event.text;
      else if (event.type === 'start') {
        text = '';
        expect(event.userMessage).toMatchObject({ id: question?.id, content: question?.content });
      } else if (event.type === 'resync') text = event.message.content;
      else {
        expect(text, 'at the end a reader has what is stored').toBe(row?.content);
        const { id: messageId, content, status, usage, finishReason, stoppedBy } = event.message;
        expect({ id: messageId, content, status, usage, finishReason, stoppedBy, error: event.message.error }).toEqual({
          id: row?.id,
          content: row?.content,
          status: row?.status,
          usage: row?.usage,
          finishReason: row?.finishReason,
          stoppedBy: row?.stoppedBy,
          error: row?.errorCode == null ? null : { code: row.errorCode },
        });
      }
      expect(texts.get(id) ?? text, 'every reader has the same text at an id').toBe(text);
      texts.set(id, text);
      const sent = callsFor(question?.content ?? '', openai).map((call) => call.sent.join(''));
      expect(text === '' || sent.some((whole) => whole.startsWith(text)), `"${text}" was sent`).toBe(true);
    }
  }
}
