import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { callOverHttp } from '../src/raw-http.ts';
import { refusalOf } from '../src/refusal.ts';
import { startWorld, type World } from '../src/world.ts';

describeEachDatabase('idempotency of session.create', (kind) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  let users = 0;
  function newcomer() {
    users += 1;
    const user = `user-${users}`;
    return { user, ...world.trpc(user) };
  }

  const body = { title: 'One', metadata: { b: '2', a: '1' }, parameters: { topP: 1, temperature: 0 } };

  it('opens one session for one key, however often and however many at once', async () => {
    const { user, trpc } = newcomer();
    const token = await world.token(user);
    const input = { ...body, idempotencyKey: 'open' };
    const answers = await Promise.all(
      Array.from({ length: 20 }, () =>
        callOverHttp(world.url, { type: 'mutation', path: 'session.create', input, token }),
      ),
    );
    for (const { status, result } of answers) {
      expect(status).toBe(200);
      expect(result).toEqual(answers[0]?.result);
    }
    const reordered = { ...input, metadata: { a: '1', b: '2' }, parameters: { temperature: 0, topP: 1 } };
    const again = await trpc.session.create.mutate(reordered);
    expect(again).toEqual(answers[0]?.result);
    const { sessions, pagination } = await trpc.session.list.query();
    expect(sessions).toHaveLength(1);
    expect(pagination.total).toBe(1);
    const { title } = (await trpc.session.update.mutate({ sessionId: again.sessionId, title: 'Later' })).session;
    expect((await trpc.session.create.mutate(input)).session.title).toBe(title);
  });

  it('refuses the key for anything else, and for one that is deleted', async () => {
    const { trpc } = newcomer();
    const { sessionId } = await trpc.session.create.mutate({});
    const input = { ...body, idempotencyKey: 'open' };
    const opened = await trpc.session.create.mutate(input);
    const different = [
      { ...input, title: 'Two' },
      { ...input, initialMessage: 'Hello' },
      { ...input, temporary: true },
      { ...input, systemPrompt: 'Be brief.' },
      { ...input, source: 'web' },
      { ...input, modelId: 'test-model' },
      { ...input, metadata: { a: '1' } },
      { ...input, metadata: { a: '1', b: '3' } },
      { ...input, parameters: { topP: 1 } },
    ];
    const reused = { code: 'IDEMPOTENCY_KEY_REUSED', httpStatus: 422 };
    for (const other of different) expect(await refusalOf(trpc.session.create.mutate(other))).toMatchObject(reused);
    expect(
      await refusalOf(trpc.message.send.mutate({ sessionId, message: 'Hello', idempotencyKey: 'open' })),
    ).toMatchObject(reused);
    await trpc.session.delete.mutate({ sessionId: opened.sessionId });
    expect(await refusalOf(trpc.session.create.mutate(input))).toMatchObject({ code: 'NOT_FOUND', httpStatus: 404 });
    expect((await trpc.session.list.query()).pagination.total).toBe(1);
  });

  it('is scoped to the user', async () => {
    const [alice, bob] = [newcomer(), newcomer()];
    const input = { ...body, idempotencyKey: 'open' };
    const ofAlice = await alice.trpc.session.create.mutate(input);
    const ofBob = await bob.trpc.session.create.mutate({ ...input, title: 'Mine' });
    expect(ofBob.session).toMatchObject({ userId: bob.user, title: 'Mine' });
    expect(ofBob.sessionId).not.toBe(ofAlice.sessionId);
  });
});
