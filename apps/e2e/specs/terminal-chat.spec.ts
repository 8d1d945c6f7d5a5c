import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createChatClient } from '@chat-service/client-sdk';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { callFor } from '../src/call-for.ts';
import { startShell } from '../src/shell.ts';
import { startWorld, type World } from '../src/world.ts';

const root = join(import.meta.dirname, '../../..');

/** Runs of code points, ends included. */
const codePoints = (...ranges: readonly (readonly [number, number])[]) =>
  ranges.flatMap(([from, to]) =>
    Array.from({ length: to - from + 1 }, (_, index) => String.fromCodePoint(from + index)),
  );

/** Control characters but for U+0000, which no message holds, tab and line feed; then what reorders letters. */
const controls = codePoints([0x01, 0x08], [0x0b, 0x1f], [0x7f, 0x9f]);
const reorderings = codePoints([0x202a, 0x202e], [0x2066, 0x2069]);
const isCommand = (character: string) => controls.includes(character) || reorderings.includes(character);

describe('the chatting example', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind: 'sqlite' });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  async function start(flags: string, input?: string, url = world.url, more: Record<string, string> = {}) {
    const command = `exec node --conditions=@chat-service/source examples/terminal-chat/src/main.ts --url ${url} ${flags}`;
    const env = { ...process.env, CHAT_TOKEN: await world.token('alice'), ...more };
    return startShell(command, { cwd: root, env, ...(input !== undefined && { input }) });
  }

  it('answers line by line, with the model that was asked for', async () => {
    await using shell = await start('--model other-model', 'One\n\n  Two \n');
    const { code, stdout, stderr } = await shell.result;
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'Hello from the fake.\nHello from the fake.\n' });
    expect(stderr).toMatch(/^session [0-9a-f-]{36}\n$/u);
    expect(world.openai.calls.map(({ body, lastUserMessage }) => [body.model, lastUserMessage])).toEqual([
      ['fake-2', 'One'],
      ['fake-2', 'Two'],
    ]);
  });

  it('says who watches, and who has stopped the answer', async () => {
    await using noticing = await startWorld({ kind: 'sqlite', env: { SUPERVISION_NOTICE: 'on' } });
    noticing.openai.script('Watched', { chunks: ['one ', 'two'], hold: 'every' });
    const client = noticing.client('alice');
    const { sessionId } = await client.sessions.create();
    const env = { CHAT_TOKEN: await noticing.token('alice') };
    await using shell = await start(`--session ${sessionId}`, 'Watched\n', noticing.url, env);
    const call = await callFor(noticing.openai, 'Watched');
    call.release();
    await shell.says('one ');
    const boss = createChatClient({ url: noticing.url, token: await noticing.token('boss', { role: 'supervisor' }) });
    const [first, second] = [boss.supervisor.observe(sessionId), boss.supervisor.observe(sessionId)];
    const watching = [first, second].map(async (observation) => {
      for await (const event of observation) if (event.type === 'session-deleted') return;
    });
    await shell.notes('(2 supervisors are watching)');
    first.disconnect();
    await shell.notes('(a supervisor is watching)');
    second.disconnect();
    await shell.notes('(nobody is watching any more)');
    await boss.supervisor.stop(sessionId);
    call.releaseAll();
    const { stdout, stderr } = await shell.result;
    expect(stdout).toBe('one \n');
    expect(stderr).toMatch(/\(stopped by a supervisor\)\n$/u);
    await Promise.all(watching);
    await boss[Symbol.asyncDispose]();
  });

  it('shows every character that could control the terminal as a sign', async () => {
    const all = [...controls, ...reorderings];
    world.openai.script('All', { chunks: [all.join(''), '\t|\n', ...all] });
    await using shell = await start('', 'All\n');
    const { code, stdout } = await shell.result;
    expect(code).toBe(0);
    const [signs = '', others = ''] = stdout.split('\t|\n');
    const characters = Array.from(signs);
    expect(characters.filter(isCommand)).toEqual([]);
    expect(characters).toHaveLength(all.length);
    // Each as it is read alone: a piece of the answer has nothing to do with the next.
    expect(others).toBe(`${signs}\n`);
    expect(signs).toMatch(/^␁␂␃␄␅␆␇␈␋␌␍␎␏␐␑␒␓␔␕␖␗␘␙␚␛␜␝␞␟␡\u{fffd}+$/u);
  });

  it('leaves every other character as it is', async () => {
    const text = 'a\tb\n\nç 🐟 👩‍🚀 \u200fשלום\u200e مرحبا\u061c \u00a0 \u2028 ␛ \u{fffd}';
    world.openai.script('Harmless', { chunks: Array.from(text) });
    await using shell = await start('', 'Harmless\n');
    expect(await shell.result).toMatchObject({ code: 0, stdout: `${text}\n` });
  });

  // What each would do: wipe the screen, name the window, ring, write over the line, colour, turn the letters around.
  const attack = 'a\u001b[2Jb\u001b]0;title\u0007c\rd\be\u009b1mf\u009d0;title\u009cg\u202eh\ni\tj';
  const shown = 'a␛[2Jb␛]0;title␇c␍d␈e\u{fffd}1mf\u{fffd}0;title\u{fffd}g\u{fffd}h\ni\tj';

  it('does so wherever a sequence is torn, as it comes and when it is joined again', async () => {
    const chunks = attack.split(/(?<=[^\w\n\t])/u);
    expect(chunks[0]).toBe('a\u001b');
    world.openai.script('Torn', { chunks, hold: 'every' });
    const client = world.client('alice');
    const { sessionId } = await client.sessions.create();
    await using shell = await start(`--session ${sessionId}`, 'Torn\n');
    const call = await callFor(world.openai, 'Torn');
    let length = 0;
    for (const [index, chunk] of chunks.entries()) {
      await call.reached(index);
      call.release();
      length += chunk.length;
      expect(await shell.says(shown.slice(0, length))).toBe(shown.slice(0, length));
    }
    await call.reached(chunks.length);
    await using late = await start(`--session ${sessionId}`, '');
    expect(await late.says(shown)).toBe(shown);
    call.releaseAll();
    for (const { result } of [shell, late]) expect(await result).toMatchObject({ code: 0, stdout: `${shown}\n` });
  });

  it('shows what a service says of an error in the same way', async () => {
    const error = { json: { message: attack, code: -32_603, data: { code: attack, httpStatus: 500 } } };
    const server = createServer((_, response) => {
      response.writeHead(500, { 'content-type': 'application/json' }).end(JSON.stringify({ error }));
    });
    onTestFinished(() => void server.close().closeAllConnections());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    await using shell = await start('', 'Hello\n', `http://127.0.0.1:${port}`);
    const { code, stdout, stderr } = await shell.result;
    expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: '', stderr: `${shown} (${shown})\n` });
  });

  it('says what is wrong with a call', async () => {
    await using wrong = await start('--reason x');
    expect(await wrong.result).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('Usage:') });
    await using help = await start('--help');
    expect(await help.result).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Usage: terminal-chat /u) });
    await using gone = await start(`--session ${crypto.randomUUID()}`, 'Hello\n');
    expect(await gone.result).toMatchObject({ code: 1, stderr: expect.stringContaining('no such session') });
  });
});
