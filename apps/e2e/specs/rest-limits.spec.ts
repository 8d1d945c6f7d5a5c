import type { Message, Session } from '@chat-service/shared/objects';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callRest, type Problem, type RestAnswer } from '../src/rest.ts';
import { startWorld, type World } from '../src/world.ts';

const perMinute = 40;
const plans = {
  free: { grant: { credits: 1000, every: 'once' }, quotas: { month: { tokens: 1_000_000_000 } } },
  penniless: { grant: { credits: 0, every: 'once' }, quotas: {} },
  few: { grant: { credits: 1000, every: 'once' }, quotas: { day: { messages: 1, sessions: 2 } } },
};

/** The forms of these answers; that the limits hold is tried elsewhere. */
describe('over REST', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind: 'sqlite', plans, env: { RATE_LIMIT_PER_MINUTE: String(perMinute) } });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  interface User {
    readonly token: string;
    call<Body = Problem>(target: string, body?: object): Promise<RestAnswer<Body>>;
    openSession(): Promise<string>;
  }
  async function user(sub: string, options: Parameters<World['token']>[1] = {}): Promise<User> {
    const token = await world.token(sub, options);
    const call = <Body>(target: string, body?: object) =>
      callRest<Body>(world, target, { token, ...(body !== undefined && { body }) });
    const openSession = async () => (await call<{ sessionId: string }>('POST /api/chat/sessions', {})).body.sessionId;
    return { token, call, openSession };
  }
  const isRefused = ({ status, body, headers }: RestAnswer<Problem>) => {
    expect(headers.get('content-type')).toBe('application/problem+json');
    expect(body.retryAfter).toBe(headers.has('retry-after') ? Number(headers.get('retry-after')) : undefined);
    return [status, body.code];
  };

  it('credit that is used up is 402, however the answer is asked for', async () => {
    const { token, call, openSession } = await user('penniless', { plan: 'penniless' });
    const path = `/api/chat/sessions/${await openSession()}`;
    const body = { message: 'Hi' };
    const headers = { accept: 'application/json' };
    expect(isRefused(await call(`POST ${path}/messages`, body))).toEqual([402, 'INSUFFICIENT_CREDITS']);
    expect(isRefused(await call(`POST ${path}/stream`, body))).toEqual([402, 'INSUFFICIENT_CREDITS']);
    const started = await callRest(world, `POST ${path}/stream`, { token, body, headers });
    expect(isRefused(started)).toEqual([402, 'INSUFFICIENT_CREDITS']);
    expect((await call<{ credits: number }>('GET /api/account/usage')).body).toMatchObject({ credits: 0, held: 0 });
  });

  it('a quota that is used up is 429, and says which and until when', async () => {
    const { call, openSession } = await user('busy', { plan: 'few' });
    const target = `POST /api/chat/sessions/${await openSession()}/messages`;
    expect((await call(target, { message: 'Hi' })).status).toBe(200);
    type QuotaProblem = Problem & { readonly quota: string; readonly resetsAt: string };
    const messages = await call<QuotaProblem>(target, { message: 'Hi' });
    await openSession();
    const sessions = await call<QuotaProblem>('POST /api/chat/sessions', {});
    for (const refused of [messages, sessions]) expect(isRefused(refused)).toEqual([429, 'QUOTA_EXCEEDED']);
    const usage = await call<{ quotas: { name: string; resetsAt: string }[] }>('GET /api/account/usage');
    expect([sessions.body, messages.body].map(({ quota, resetsAt }) => ({ name: quota, resetsAt }))).toEqual(
      usage.body.quotas.map(({ name, resetsAt }) => ({ name, resetsAt })),
    );
  });

  it('a minute that is used up is 429, on every path and in every form', async () => {
    const { call } = await user('hasty');
    const answers = await Promise.all(Array.from({ length: perMinute }, () => call('GET /api/models')));
    expect(answers.every(({ status, headers }) => status === 200 && headers.has('ratelimit'))).toBe(true);
    for (const [target, body] of [
      ['GET /api/models'],
      ['GET /api/account/usage'],
      ['POST /api/chat/sessions', {}],
      ['GET /api/chat/sessions/01890a5d-ac96-774b-bcce-b302099a8057/stream'],
      ['GET /api/chat/live'],
    ] as const) {
      const refused = await call(target, body);
      expect([target, ...isRefused(refused)]).toEqual([target, 429, 'RATE_LIMITED']);
      expect(refused.headers.get('ratelimit-policy')).toContain(`q=${perMinute}`);
    }
  });

  it('supervisors see everything, and nobody else anything', async () => {
    const owner = await user('owner');
    const sessionId = await owner.openSession();
    await owner.call(`POST /api/chat/sessions/${sessionId}/messages`, { message: 'Hi' });
    const looks = [
      'GET /api/chat/live',
      'GET /api/chat/users/search?query=own&role=enduser&limit=1',
      'GET /api/chat/users/owner/sessions?reason=Asked',
      `GET /api/chat/users/owner/sessions/${sessionId}?messageLimit=1`,
      'GET /api/audit?actorId=root&limit=2',
    ];
    for (const target of [...looks, `POST /api/chat/sessions/${sessionId}/observe/stop`]) {
      expect([target, ...isRefused(await owner.call(target))]).toEqual([target, 403, 'FORBIDDEN']);
    }
    const root = await user('root', { role: 'admin' });
    for (const target of looks) expect([target, (await root.call(target)).status]).toEqual([target, 200]);
    const read = await root.call<{ session: Session; messages: Message[] }>(
      `GET /api/chat/users/owner/sessions/${sessionId}`,
    );
    expect(read.body).toMatchObject({ session: { id: sessionId }, messages: [{ content: 'Hi' }, {}] });
    const idle = await root.call(`POST /api/chat/sessions/${sessionId}/observe/stop`, { reason: 'Asked' });
    expect(isRefused(idle)).toEqual([409, 'CONFLICT']);
    expect(isRefused(await root.call('GET /api/chat/users/nobody/sessions'))).toEqual([404, 'NOT_FOUND']);
    expect(isRefused(await root.call('GET /api/chat/users/search'))).toEqual([400, 'BAD_REQUEST']);
    expect(isRefused(await root.call('GET /api/audit?from=yesterday'))).toEqual([400, 'BAD_REQUEST']);
  });

  it('an Accounting Service that is away is 503, and told with the time to come back', async () => {
    await using other = await startWorld({ kind: 'sqlite', accounting: {} });
    await other.accounting.goDown();
    const refused = await callRest(other, 'POST /api/chat/sessions', { body: {} });
    expect(isRefused(refused)).toEqual([503, 'ACCOUNTING_UNAVAILABLE']);
    expect(refused.body.retryAfter).toBeGreaterThan(0);
    expect(isRefused(await callRest(other, 'GET /api/account/usage'))).toEqual([503, 'ACCOUNTING_UNAVAILABLE']);
  });
});
