import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { patience } from '../src/call-for.ts';
import type { ServerProcess } from '../src/server-child.ts';
import { startWorld, type World } from '../src/world.ts';

let world: World;
let server: ServerProcess;
let file: string;
beforeAll(async () => {
  // In a process of its own: the locks of a file are a process's, and reading it beside the service would let go of them.
  world = await startWorld({ kind: 'sqlite', serve: false, env: { LOG_LEVEL: 'debug' } });
  server = await world.spawn();
  file = world.databaseUrl.replace(/^file:/u, '');
  // Answers a question with its echo.
  world.openai.script('-QUESTION-', ({ lastUserMessage }) => {
    const echo = lastUserMessage.replace('-QUESTION-', '-ANSWER-');
    return lastUserMessage.endsWith('…') ? { chunks: [echo, ' and more'], hold: [1] } : { chunks: ['Here is ', echo] };
  });
});
afterAll(() => world[Symbol.asyncDispose]());

/** All bytes of the database's files, read by yet another process. */
function readFiles(): string {
  const paths = ['', '-wal', '-shm', '-journal'].map((suffix) => file + suffix).filter((path) => existsSync(path));
  return execFileSync('cat', paths, { maxBuffer: 1024 ** 3 })
    .toString('latin1')
    .toUpperCase();
}

function found(canaries: readonly string[]): string[] {
  const bytes = readFiles();
  return canaries.filter((canary) => bytes.includes(canary));
}

/** The service waits whether more will be deleted: now it has waited long enough. */
const hurry = () => server.arm({ shiftSeconds: 5 });

const untilFound = (canaries: readonly string[], expected: readonly string[]) =>
  vi.waitFor(() => expect(found(canaries)).toEqual(expected), patience);

let conversations = 0;
/** With words that no file of a database may hold once they are deleted; capitals, so that no folded copy is overlooked. */
async function conversation() {
  conversations += 1;
  const of = (what: string) => `CANARY${conversations}-${what}-7F3A`;
  const [question, answer, title] = [of('QUESTION'), of('ANSWER'), of('TITLE')];
  const { trpc } = world.trpc('alice', server.url);
  const { sessionId } = await trpc.session.create.mutate({ title });
  const { message } = await trpc.message.send.mutate({ sessionId, message: question });
  const words = [question, answer, title];
  expect(found(words)).toEqual(words);
  return { trpc, sessionId, messageId: message.id, question, answer, title, words };
}

/** Somebody else, a backup say, who has begun to read. */
function openReader(): DatabaseSync {
  const reader = new DatabaseSync(file, { readOnly: true });
  reader.exec('begin');
  reader.prepare('select count(*) from messages').get();
  return reader;
}

it('leaves no byte of a deleted session in the files', async () => {
  const { trpc, sessionId, words } = await conversation();
  await trpc.session.delete.mutate({ sessionId });
  await hurry();
  await untilFound(words, []);
  await expect(trpc.session.get.query({ sessionId })).rejects.toThrow();
});

it('leaves no byte of a deleted message, and everything of the others', async () => {
  const { trpc, sessionId, messageId, question, title, words } = await conversation();
  await trpc.message.delete.mutate({ sessionId, messageId });
  await hurry();
  await untilFound(words, [question, title]);
  expect((await trpc.session.get.query({ sessionId })).messages).toHaveLength(1);
});

it('leaves none of a session that is deleted in the middle of its answer', async () => {
  const { trpc } = world.trpc('alice', server.url);
  const { sessionId } = await trpc.session.create.mutate({ title: 'CANARY-TITLE-MID' });
  const words = ['CANARY-QUESTION-MID', 'CANARY-ANSWER-MID', 'CANARY-TITLE-MID'];
  await trpc.message.start.mutate({ sessionId, message: 'CANARY-QUESTION-MID…' });
  await untilFound(words, words);
  await trpc.session.delete.mutate({ sessionId });
  await hurry();
  await untilFound(words, []);
  await expect(trpc.session.get.query({ sessionId })).rejects.toThrow();
});

it('comes to it once an older read is over, and serves everybody meanwhile', async () => {
  const { trpc, sessionId, words } = await conversation();
  using reader = openReader();
  await trpc.session.delete.mutate({ sessionId });
  await hurry();
  await vi.waitFor(() => expect(server.logs.join()).toContain('it is being read'), patience);
  await trpc.session.create.mutate({});
  expect(found(words)).toEqual(words);
  reader.exec('commit');
  await untilFound(words, []);
});

it('comes to it before it ends', async () => {
  const { trpc, sessionId, words } = await conversation();
  // Who has the file open keeps the log from being removed with the service.
  using reader = openReader();
  reader.exec('commit');
  await trpc.session.delete.mutate({ sessionId });
  server.kill('SIGTERM');
  expect(await server.exited).toBe(0);
  expect(found(words)).toEqual([]);
  server = await world.spawn();
});

it('comes to it after a crash that was faster, also where the deletion was half done', async () => {
  const [whole, half] = [await conversation(), await conversation()];
  using reader = openReader();
  await whole.trpc.session.delete.mutate({ sessionId: whole.sessionId });
  server.kill('SIGKILL');
  await server.exited;
  reader.exec('commit');
  expect(found(whole.words)).not.toEqual([]);
  // Out of reach, and everything of it still there.
  using writer = new DatabaseSync(file);
  writer.prepare('update sessions set deleted_at = 1 where id = ?').run(half.sessionId);
  writer.close();
  server = await world.spawn();
  await untilFound([...whole.words, ...half.words], []);
});
