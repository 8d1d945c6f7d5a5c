import type { ObservationEvent, SessionEvent } from '@chat-service/shared/events';
import type { Message } from '@chat-service/shared/objects';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { callOver, doors, type Door } from '../src/call-over.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { answered, idsOf } from '../src/rest-answers.ts';
import { callRest, openRestStream } from '../src/rest.ts';
import { startWorld, type World } from '../src/world.ts';

/** An id as other programs write it: RFC 9562 has it mean the same. */
const inCapitals = (id: string) => id.toUpperCase();

describeEachDatabase('ids in capitals', (kind) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const root = () => world.token('root', { role: 'admin' });

  /** Results as they came; of a refusal its code. */
  const caller = (door: Door, token: string) => async (path: string, input: Record<string, unknown>) => {
    const { result, refusal } = await callOver(world, door, { path, input, token });
    return refusal === null ? result : refusal['code'];
  };

  it.each(doors)('are the ids that they are in lower case: %s', async (door) => {
    const { sub, sessionId, streamId, messages } = await answered(world);
    const call = caller(door, await world.token(sub));
    const asRoot = caller(door, await root());
    const [question, answer] = await messages();
    const session = inCapitals(sessionId);
    const stream = inCapitals(streamId);
    for (const [path, input, ids] of [
      ['session.get', {}, {}],
      ['message.list', {}, {}],
      ['message.stop', { streamId }, { streamId: stream }],
      ['message.finalize', { streamId, completeResponse: 'x' }, { streamId: stream }],
      ['model.recommend', {}, {}],
    ] as const) {
      const usual = await call(path, { sessionId, ...input });
      expect(usual).toBeTypeOf('object');
      expect([path, await call(path, { sessionId: session, ...input, ...ids })]).toEqual([path, usual]);
    }
    const look = { userId: sub, sessionId: session };
    expect(await asRoot('supervisor.userSession', look)).toMatchObject({ session: { id: sessionId } });
    expect(await asRoot('supervisor.stop', { sessionId: session })).toBe('CONFLICT');
    const { query, tables } = await world.openDatabase();
    const looks = await query.select({ sessionId: tables.auditLog.sessionId }).from(tables.auditLog);
    expect(looks.filter((row) => row.sessionId?.toLowerCase() === sessionId)).toEqual([{ sessionId }, { sessionId }]);

    const change = { sessionId: session, title: 'Renamed' };
    expect(await call('session.update', change)).toMatchObject({ session: { id: sessionId, title: 'Renamed' } });
    expect([question?.sessionId, answer?.id]).toEqual([sessionId, streamId]);
    await call('message.delete', { sessionId: session, messageId: stream });
    expect(await messages()).toEqual([question]);
    await call('session.delete', { sessionId: session });
    expect(await call('session.get', { sessionId })).toBe('NOT_FOUND');
  });

  it('send the message that they send in lower case: a repeat is one, and its rows are the same', async () => {
    const { sub, sessionId, messages } = await answered(world);
    const begun = world.openai.calls.length;
    const answers = [];
    for (const id of [inCapitals(sessionId), sessionId, inCapitals(sessionId)]) {
      answers.push(
        await callRest<{ message: Message }>(world, `POST /api/chat/sessions/${id}/messages`, {
          sub,
          body: { message: 'Once' },
          headers: { 'idempotency-key': 'once' },
        }),
      );
    }
    expect(answers.map(({ status, headers }) => [status, headers.get('idempotent-replayed')])).toEqual([
      [200, null],
      [200, 'true'],
      [200, 'true'],
    ]);
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(world.openai.calls).toHaveLength(begun + 1);
    expect((await messages()).map((message) => message.sessionId)).toEqual(Array(4).fill(sessionId));
  });

  it('name streams with the same events under the same ids, which go on after one another', async () => {
    const { sub, sessionId, streamId, stream } = await answered(world);
    const path = `/api/chat/sessions/${inCapitals(sessionId)}`;
    const [, second = ''] = idsOf(stream);
    for (const [target, events] of [
      [`${path}/stream?streamId=${inCapitals(streamId)}`, stream.events],
      [`${path}/stream?lastEventId=${second}`, stream.events.slice(2)],
    ] as const) {
      const again = await openRestStream(world, `GET ${target}`, { sub });
      expect([again.status, await again.over, again.events]).toEqual([200, 'ended', events]);
    }
    const whole = await openRestStream<SessionEvent>(world, `GET ${path}/events`, { sub });
    await whole.until(4);
    const { id: seen = '' } = whole.events[3] ?? {};
    expect(seen).toBe(seen.toLowerCase());
    whole.leave();
    const resumed = await openRestStream<SessionEvent>(world, `GET ${path}/events`, {
      sub,
      headers: { 'last-event-id': seen },
    });
    await callRest(world, `PATCH ${path}`, { sub, body: { title: 'Renamed' } });
    await resumed.until(1);
    expect(resumed.events[0]?.data).toMatchObject({ type: 'session-updated', session: { id: sessionId } });
    resumed.leave();
    const observer = await openRestStream<ObservationEvent>(world, `GET ${path}/observe`, { token: await root() });
    await observer.until(1);
    expect(observer.events[0]?.data).toMatchObject({ status: 'connected', session: { id: sessionId } });
    observer.leave();
  });

  it('are other ids where they are not ours: users and models are called as they are', async () => {
    const user = '01890a5d-ac96-774b-bcce-b302099a8057';
    const { body } = await callRest<{ sessionId: string }>(world, 'POST /api/chat/sessions', { sub: user, body: {} });
    const token = await root();
    const look = (userId: string) => callRest(world, `GET /api/chat/users/${userId}/sessions`, { token });
    expect([(await look(user)).status, (await look(inCapitals(user))).status]).toEqual([200, 404]);
    const other = await callRest(world, `GET /api/chat/sessions/${body.sessionId}`, { sub: inCapitals(user) });
    expect(other.status).toBe(404);
    const model = await callRest(world, 'POST /api/chat/sessions', { body: { modelId: 'TEST-MODEL' } });
    expect([model.status, model.body.code]).toEqual([400, 'BAD_REQUEST']);
  });
});
