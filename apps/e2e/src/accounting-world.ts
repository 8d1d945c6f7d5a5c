import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parseDatabaseUrl } from '@chat-service/server/db/database-url';
import { vi } from 'vitest';
import type { DatabaseKind } from '../../../packages/server/test/support/databases.ts';
import { callsOf, openAccountingJournal, type AccountingJournal } from './accounting-journal.ts';
import { patience } from './call-for.ts';
import type { FakeRequest } from './fake-accounting.ts';
import type { FakeCall, FakePlan } from './fake-openai.ts';
import { createGates, type Gates } from './gates.ts';
import { createHastyClock, type HastyClock } from './hasty-clock.ts';
import { callOverHttp, type RawAnswer } from './raw-http.ts';
import { startWorld, type World, type WorldOptions } from './world.ts';

const { SOAK: soak } = process.env;
export const isLongRun = soak === 'ci' || soak === 'full';
/** What does not depend on the database is looked at on one; the long runs look at everything on both. */
export const isWhole = (kind: DatabaseKind) => kind === 'sqlite' || isLongRun;

export const serviceToken = 'from-service-to-service';
/** The prompt "Hi": one token, and what a chat format adds. */
export const promptTokens = 8;
/** As it is held for a model whose vocabulary is another: a quarter more. */
export const heldPromptTokens = 10;
/** Words of one token each, also when they are counted as one text. */
export const words = ['One', ' two', ' three', ' four'];
/** Millionths of a credit, of the model that tests use unless they say otherwise: 1 credit in, 2 out for 1,000 tokens. */
export const costOf = (input: number, output: number) => input * 1_000 + output * 2_000;

/** A user with an account of their own. */
export interface AccountUser {
  readonly id: string;
  readonly token: string;
  call(path: string, input: unknown, url?: string): Promise<RawAnswer>;
  openSession(): Promise<string>;
  /** Sends "Hi" and waits for the whole answer. */
  send(sessionId: string, further?: Record<string, unknown>, url?: string): Promise<RawAnswer>;
  /** Starts the answer to "Hi" as the model is to give it; resolves once the model has sent the first `count` chunks. */
  streamUntil(
    sessionId: string,
    count: number,
    plan?: FakePlan,
    url?: string,
  ): Promise<{ readonly streamId: string; readonly call: FakeCall }>;
  /** What the Accounting Service was asked for this user, without balances. */
  requests(): readonly FakeRequest[];
  /** Their operations, in order. */
  operations(): readonly string[];
}

/** A world whose credits an Accounting Service keeps. */
export interface AccountingWorld extends AsyncDisposable {
  readonly world: World;
  readonly clock: HastyClock;
  readonly gates: Gates;
  readonly journal: AccountingJournal;
  /** With so many millionths. @default 1,000 credits */
  user(credits?: number): Promise<AccountUser>;
  /** The names of the database's files that hold these bytes; none where it is not on files of ours. */
  rawFilesWith(text: string): string[];
}

/** @param options as of a world; its accounting is set, and its leases outlast the longest wait for a check */
export async function startAccountingWorld(
  kind: DatabaseKind,
  options: Omit<WorldOptions, 'kind' | 'accounting' | 'clock' | 'probe' | 'env'> & {
    readonly env?: Readonly<Record<string, string>>;
  } = {},
): Promise<AccountingWorld> {
  const clock = createHastyClock();
  const gates = createGates();
  const world = await startWorld({
    ...options,
    kind,
    clock,
    probe: gates.probe,
    accounting: { token: serviceToken },
    env: { LEASE_SECONDS: '60', MAX_CONCURRENT_GENERATIONS: '100', ...options.env },
  });
  const journal = await openAccountingJournal(world);
  let users = 0;
  return {
    world,
    clock,
    gates,
    journal,
    async user(credits = 1_000_000_000) {
      users += 1;
      const id = `user-${users}`;
      world.accounting.setAccount(id, credits);
      return createUser(world, id, await world.token(id));
    },
    rawFilesWith(text) {
      const location = parseDatabaseUrl(world.databaseUrl);
      if (location.kind !== 'sqlite') return [];
      const directory = dirname(location.file);
      const files = readdirSync(directory).filter((name) => name.startsWith(basename(location.file)));
      return files.filter((name) => readFileSync(join(directory, name)).includes(text));
    },
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}

function createUser(world: World, id: string, token: string): AccountUser {
  const call: AccountUser['call'] = (path, input, url = world.url) =>
    callOverHttp(url, { type: 'mutation', path, input, token });
  const requests = () =>
    world.accounting.requests.filter(({ userId, operation }) => userId === id && operation !== 'balance');
  return {
    id,
    token,
    call,
    requests,
    operations: () => requests().map(({ operation }) => operation),
    async openSession() {
      const { result } = await call('session.create', {});
      return (result as { sessionId: string }).sessionId;
    },
    send: (sessionId, further = {}, url) =>
      call('message.send', { sessionId, message: 'Hi', parameters: { maxTokens: 100 }, ...further }, url),
    async streamUntil(sessionId, count, plan = {}, url) {
      world.openai.script('Hi', { chunks: words, hold: [count], ...plan, times: 1 });
      const input = { sessionId, message: 'Hi', parameters: { maxTokens: 100 } };
      const { result, text } = await call('message.start', input, url);
      if (result === undefined) throw new Error(`the answer was not started: ${text}`);
      const { streamId } = result as { streamId: string };
      const made = await vi.waitFor(() => {
        const [first] = callsOf(world.openai, streamId);
        if (first === undefined) throw new Error('the model was not called');
        return first;
      }, patience);
      await made.reached(count);
      await vi.waitFor(async () => {
        const query = { type: 'query', path: 'session.get', input: { sessionId }, token } as const;
        const { result: read } = await callOverHttp(url ?? world.url, query);
        const { messages } = read as { messages: { content: string }[] };
        const written = (plan.chunks ?? words).slice(0, count).join('');
        if (messages.at(-1)?.content !== written) throw new Error(`not "${written}" yet`);
      }, patience);
      return { streamId, call: made };
    },
  };
}
