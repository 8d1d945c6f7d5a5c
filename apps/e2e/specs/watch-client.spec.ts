import { join } from 'node:path';
import { createChatClient, type ObservationStreamEvent } from '@chat-service/client-sdk';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { callFor, patience } from '../src/call-for.ts';
import { createCutSockets } from '../src/cut-sockets.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { isEndOfToken, tokenLife } from '../src/ending-tokens.ts';
import { freePort } from '../src/free-port.ts';
import { createHandClock } from '../src/hand-clock.ts';
import { startShell } from '../src/shell.ts';
import { startWorld, type World } from '../src/world.ts';

const root = join(import.meta.dirname, '../../..');
const chunks = ['The ', 'süße', ' 🐟.'];
/** What an observer is told, but for where the observation stands. */
const whole = ['history-start', 'message', 'message', 'history-end', 'message', 'start', ...chunks, 'done'];
const historyLength = 4;
/** Cuts also count `connected`, and what may be told of status and observers in between. */
const cutPoints = Array.from({ length: whole.length + 4 }, (_, after) => after);

const told = (events: readonly ObservationStreamEvent[]) =>
  events.filter(({ type }) => type !== 'observer').map((event) => (event.type === 'chunk' ? event.text : event.type));

describeEachDatabase('observing through the SDK', (kind) => {
  const clock = createHandClock(isEndOfToken);
  let world: World;
  let count = 0;
  beforeAll(async () => {
    world = await startWorld({ kind, clock });
    world.openai.script(/^Watched/u, { chunks, hold: 'every' });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const supervisorToken = () => world.token('boss', { role: 'supervisor', username: 'Boss' });

  /** A session of a user of its own, with one turn in it. */
  async function prepare() {
    count += 1;
    const client = world.client(`watched-${count}`);
    const { sessionId } = await client.sessions.create();
    await client.messages.send({ sessionId, message: 'Before' });
    return { client, sessionId, message: `Watched <${count}>` };
  }

  async function callOf(message: string) {
    const index = await vi.waitFor(() => {
      const found = world.openai.calls.findIndex(({ lastUserMessage }) => lastUserMessage === message);
      expect(found).toBeGreaterThanOrEqual(0);
      return found;
    }, patience);
    return world.openai.call(index);
  }

  it.each(cutPoints.filter((after) => kind === 'sqlite' || after % 4 === 0))(
    'three lost connections in a row after event %i',
    async (after) => {
      const { client, sessionId, message } = await prepare();
      const sockets = createCutSockets([after, 1, 0]);
      await using boss = createChatClient({
        url: world.url,
        token: supervisorToken,
        WebSocket: sockets.WebSocket,
        retryDelayMs: () => 5,
      });
      const observation = boss.supervisor.observe(sessionId, { reason: `cut ${after}` });
      const events: ObservationStreamEvent[] = [];
      let ended: Awaited<ReturnType<typeof client.sessions.get>> | null = null;
      const reading = (async () => {
        for await (const event of observation) {
          events.push(event);
          if (event.type !== 'done') continue;
          ended = await client.sessions.get({ sessionId });
          expect(observation.state.messages).toEqual(ended.messages);
        }
      })();
      const until = (length: number) =>
        vi.waitFor(() => expect(told(events).length).toBeGreaterThanOrEqual(length), { ...patience, interval: 5 });

      await until(historyLength);
      const { streamId } = await client.messages.start({ sessionId, message });
      const call = await callOf(message);
      for (const index of chunks.keys()) {
        await call.reached(index);
        await until(historyLength + 2 + index);
        call.release();
      }
      await until(whole.length - 1);
      call.releaseAll();
      await until(whole.length);
      await vi.waitFor(() => expect(ended).not.toBeNull(), patience);
      await client.sessions.delete({ sessionId });
      await reading;

      expect(told(events)).toEqual([...whole, 'session-deleted']);
      const ids = events.filter(({ type }) => type !== 'observer').map(({ id }) => id);
      expect(ids).toEqual([...new Set(ids)].toSorted());
      expect(events.find(({ type }) => type === 'done')).toMatchObject({ streamId });
      expect(observation.state).toMatchObject({
        ended: 'session-deleted',
        messages: [],
        user: { id: `watched-${count}` },
      });
      if (after <= whole.length) expect(sockets.opened()).toBe(4);
    },
  );

  it('a token that ends: another one goes on where the first one stood', async () => {
    const { client, sessionId } = await prepare();
    let issued = 0;
    await using boss = createChatClient({
      url: world.url,
      retryDelayMs: () => 5,
      token: () => {
        issued += 1;
        return world.token('boss', { role: 'supervisor', ...(issued === 1 && { expiresIn: tokenLife }) });
      },
    });
    const observation = boss.supervisor.observe(sessionId);
    const events: ObservationStreamEvent[] = [];
    const reading = (async () => {
      for await (const event of observation) events.push(event);
    })();
    await vi.waitFor(() => expect(told(events)).toHaveLength(historyLength), patience);
    // What is said just before the end.
    clock.pass(isEndOfToken, 1);
    await vi.waitFor(() => expect(issued).toBe(2), patience);
    await client.sessions.update({ sessionId, title: 'Later' });
    await vi.waitFor(() => expect(told(events).at(-1)).toBe('session-updated'), patience);
    await client.sessions.delete({ sessionId });
    await reading;
    expect(told(events)).toEqual([...whole.slice(0, historyLength), 'session-updated', 'session-deleted']);
    expect(events.some((event) => event.type === 'observer' && event.status === 'ended')).toBe(false);
  });

  it('lists what is live, users, sessions and who looked', async () => {
    const { client, sessionId, message } = await prepare();
    const userId = `watched-${count}`;
    await client.messages.start({ sessionId, message });
    const call = await callOf(message);
    await using boss = createChatClient({ url: world.url, token: supervisorToken });
    const { sessions } = await boss.supervisor.live();
    expect(sessions.map(({ session }) => session.id)).toContain(sessionId);
    const found: string[] = [];
    for await (const session of boss.supervisor.sessions(userId, { reason: 'why' })) found.push(session.id);
    expect(found).toEqual([sessionId]);
    const detail = await boss.supervisor.session(userId, sessionId);
    expect(detail).toMatchObject({ user: { id: userId }, session: { id: sessionId } });
    const stopped = await boss.supervisor.stop(sessionId, { reason: 'enough' });
    expect(stopped.message).toMatchObject({ status: 'stopped', stoppedBy: 'supervisor' });
    call.releaseAll();
    await using admin = createChatClient({ url: world.url, token: await world.token('root', { role: 'admin' }) });
    const actions = new Set<string>();
    for await (const entry of admin.supervisor.auditLog({ subjectId: userId })) {
      if (entry.actorId === 'root') continue;
      expect(entry).toMatchObject({ actorId: 'boss', subjectId: userId });
      actions.add(entry.action);
    }
    expect(actions.size).toBe(3);
    await expect(client.supervisor.live()).rejects.toMatchObject({ name: 'ForbiddenError' });
  });
});

describe('the watching example', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind: 'sqlite' });
    world.openai.script(/^Watched/u, { chunks, hold: 'every' });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const command = async (flags: string, role = 'supervisor') =>
    `exec node --conditions=@chat-service/source examples/watch/src/main.ts --url ${world.url} --token ${await world.token('boss', { role })} ${flags}`;
  const shellOptions = { cwd: root, env: process.env };

  it('lists what is live, shows the chosen one as it is written, and leaves with ctrl-C', async () => {
    const client = world.client('alice');
    const { sessionId } = await client.sessions.create({ title: 'Fish' });
    const stream = client.messages.stream({ sessionId, message: 'Watched' });
    const call = await world.openai.call(0);
    await call.reached(0);
    call.release();
    await using shell = startShell(await command('--reason example'), { ...shellOptions, input: '7\n1\n' });
    expect(await shell.says('The ')).toBe('user> Watched\nassistant> The ');
    call.release();
    await shell.says('The süße');
    call.releaseAll();
    const { content } = await stream.finalMessage();
    await shell.says(`${content}\n`);
    await client.messages.send({ sessionId, message: 'Next' });
    await shell.says('user> Next\n');
    shell.interrupt();
    const { code, stdout, stderr } = await shell.result;
    expect(code).toBe(0);
    expect(stdout).toContain(
      `user> Watched\nassistant> ${chunks.join('')}\nuser> Next\nassistant> Hello from the fake.`,
    );
    expect(stderr).toMatch(/^1 {2}alice “Fish”: test-model, \d+ tokens\nNumber\? There is no number 7\.\n/u);
    expect(stderr).toContain(`session ${sessionId} of alice (streaming, nobody else is watching)\n`);
    expect(stderr).toContain('(idle, nobody else is watching)\n');
    const { query, tables } = await world.openDatabase();
    const looks = await query.select().from(tables.auditLog);
    expect(looks.filter((look) => look.sessionId === sessionId).map(({ reason }) => reason)).toContain('example');
  });

  it('shows what could control the terminal instead of obeying it', async () => {
    const client = world.client('alice');
    const { sessionId } = await client.sessions.create({ title: '\u001b]0;title\u0007' });
    await client.messages.send({ sessionId, message: 'one\u001b[2J\rtwo\u007f\u009b1m\tthree\n\u202efour' });
    await using shell = startShell(await command(`--session ${sessionId}`), shellOptions);
    await shell.says('assistant> Hello from the fake.\n');
    await client.sessions.update({ sessionId, title: 'now \u001b[1m' });
    await client.messages.send({ sessionId, message: 'Next' });
    await shell.says('user> Next\n');
    shell.interrupt();
    const { stdout, stderr } = await shell.result;
    expect(stdout).toContain('user> one␛[2J␍two␡\u{fffd}1m\tthree\n  \u{fffd}four\n');
    expect(stderr).toContain('(the session is now “now ␛[1m”)\n');
    expect(`${stdout}${stderr}`).not.toMatch(/[^\P{Cc}\n\t]/u);
  });

  it('lets nobody write lines that look like its own', async () => {
    const client = world.client('mallory');
    const { sessionId } = await client.sessions.create({ title: 'x\r\n2  alice “Fish”: test-model, 3 tokens' });
    const message = 'Watched\nassistant> yes\n(the session was deleted)';
    const stream = client.messages.stream({ sessionId, message });
    const call = await callFor(world.openai, message);
    await using shell = startShell(await command(''), { ...shellOptions, input: '1\n' });
    await shell.says('assistant> ');
    call.releaseAll();
    await stream.finalMessage();
    await client.sessions.update({ sessionId, title: 'y\n(nothing)' });
    await shell.says(`${chunks.join('')}\n`);
    await client.messages.send({ sessionId, message: 'Next' });
    await shell.says('user> Next\n');
    shell.interrupt();
    const { stdout, stderr } = await shell.result;
    expect(stdout).toContain('user> Watched\n  assistant> yes\n  (the session was deleted)\nassistant> The ');
    expect(stderr).toMatch(/^1 {2}mallory “x␤2 alice “Fish”: test-model, 3 tokens”: test-model, \d+ tokens\n/u);
    expect(stderr).toContain('(the session is now “y␤(nothing)”)\n');
  });

  it('nor by having the program say something amid an answer', async () => {
    const client = world.client('mallory');
    const { sessionId } = await client.sessions.create({ title: 'x' });
    const pieces = ['Sure. ', 'user> I did it. ', '(the session was deleted)'];
    world.openai.script('Amid', { chunks: pieces, hold: 'every' });
    const stream = client.messages.stream({ sessionId, message: 'Amid' });
    const call = await callFor(world.openai, 'Amid');
    await using shell = startShell(`${await command(`--session ${sessionId}`)} 2>&1`, shellOptions);
    for (const [index, piece] of pieces.entries()) {
      if (index === pieces.length - 1) call.releaseAll();
      else call.release();
      await shell.says(piece);
      await client.sessions.update({ sessionId, title: `title ${index}` });
      await shell.says(`“title ${index}”`);
    }
    await stream.finalMessage();
    shell.interrupt();
    const { stdout } = await shell.result;
    expect(stdout).toContain('\n  user> I did it. \n(the session is now “title 1”)\n  (the session was deleted)\n');
  });

  it('says why it does not get to watch', async () => {
    const client = world.client('alice');
    const { sessionId } = await client.sessions.create();
    const nowhere = `http://127.0.0.1:${await freePort()}`;
    await using lost = startShell((await command(`--session ${sessionId}`)).replace(world.url, nowhere), shellOptions);
    await lost.notes(`(not connected, trying again: Cannot reach the service at ${nowhere}. The connection`);
    lost.interrupt();
    expect((await lost.result).code).toBe(0);
  });

  it('shows a session to its end, and says why it cannot', async () => {
    const client = world.client('alice');
    const { sessionId } = await client.sessions.create();
    await client.messages.send({ sessionId, message: 'Hello' });
    await using shell = startShell(await command(`--session ${sessionId}`), shellOptions);
    await shell.says('assistant> Hello from the fake.\n');
    await client.sessions.delete({ sessionId });
    const { code, stdout, stderr } = await shell.result;
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'user> Hello\nassistant> Hello from the fake.\n' });
    expect(stderr).toContain('(the session was deleted)\n');

    await using gone = startShell(await command(`--session ${sessionId}`), shellOptions);
    expect(await gone.result).toMatchObject({ code: 1, stdout: '', stderr: 'There is no such session.\n' });
    await using refused = startShell(await command('', 'enduser'), shellOptions);
    expect(await refused.result).toMatchObject({ code: 1, stderr: expect.stringContaining('supervisors') });
    await using wrong = startShell(await command('--sesion x'), shellOptions);
    expect(await wrong.result).toMatchObject({ code: 2, stderr: expect.stringContaining('Usage:') });
  });
});
