import { callTRPCProcedure, type AnyTRPCRouter, type inferRouterInputs } from '@trpc/server';
import { expect, it } from 'vitest';
import { z } from 'zod';
import type { Role } from '@chat-service/shared/objects';
import type { AppRouter } from '../../src/app-router.ts';
import type { AuditAction } from '../../src/db/column-types.ts';
import { ServiceError } from '../../src/platform/service-error.ts';
import { createAuditedProcedures, type Look } from '../../src/trpc/audited-procedures.ts';
import type { RequestContext } from '../../src/trpc/context.ts';
import { toServiceError } from '../../src/trpc/error-mapping.ts';
import { trpc, type ProcedureMeta } from '../../src/trpc/trpc.ts';
import { declaredRouter } from '../support/declared-router.ts';

const input = z.strictObject({ id: z.string().max(5), reason: z.string().optional() });

/** Two audited procedures that note what happens, in order. */
function setUp({
  requireReason = false,
  record = () => Promise.resolve(),
  current,
}: {
  requireReason?: boolean;
  record?: (look: Look) => Promise<void>;
  /** The role of the user by now; the token's where it is left out. */
  current?: Role | 'gone';
} = {}) {
  let claimed: Role = 'enduser';
  const happened: string[] = [];
  const looks: Look[] = [];
  const { supervised, administered, observing } = createAuditedProcedures({
    requireReason,
    async findRole() {
      const role = current ?? claimed;
      return role === 'gone' ? undefined : role;
    },
    async record(look) {
      happened.push('recording');
      looks.push(look);
      await record(look);
      happened.push('recorded');
    },
  });
  const run = () => {
    happened.push('run');
    return 'seen';
  };
  const router = trpc.router({
    look: supervised({ action: 'user.session', input, about: ({ id }) => ({ subjectId: id }) }).query(run),
    list: supervised({
      action: 'live.list',
      input: z.strictObject({ reason: z.string().optional() }).optional(),
    }).query(run),
    log: administered({ action: 'audit.read', input: z.strictObject({}).optional() }).query(run),
    watch: observing(input).query(run),
  });
  const call = (path: string, given: unknown, role: Role | null = 'supervisor'): Promise<unknown> => {
    claimed = role ?? 'enduser';
    const principal = {
      userId: 'sue',
      username: null,
      email: null,
      role: role ?? 'enduser',
      plan: 'free',
      issuedAt: 1,
      expiresAt: 2,
    };
    const context: RequestContext = {
      requestId: 'request-1',
      clientAddress: '192.0.2.1',
      authentication:
        role === null
          ? { status: 'refused', error: new ServiceError('UNAUTHORIZED') }
          : { status: 'verified', principal, token: 'token' },
    };
    const getRawInput = () => Promise.resolve(given);
    return callTRPCProcedure({
      router,
      path,
      type: 'query',
      ctx: context,
      getRawInput,
      signal: undefined,
      batchIndex: 0,
    });
  };
  const refusal = (...parameters: Parameters<typeof call>) => call(...parameters).then(() => null, toServiceError);
  return { call, happened, looks, refusal };
}

it('records a look before anything is done for it', async () => {
  const { call, happened, looks } = setUp();
  expect(await call('look', { id: 'alice', reason: 'Ticket' })).toBe('seen');
  expect(happened).toEqual(['recording', 'recorded', 'run']);
  expect(looks).toEqual([
    {
      actorId: 'sue',
      actorRole: 'supervisor',
      action: 'user.session',
      subjectId: 'alice',
      sessionId: null,
      clientAddress: '192.0.2.1',
      requestId: 'request-1',
      reason: 'Ticket',
    },
  ]);
});

it('does nothing that could not be recorded', async () => {
  const { happened, refusal } = setUp({ record: () => Promise.reject(new ServiceError('UNAVAILABLE')) });
  expect(await refusal('look', { id: 'alice' })).toMatchObject({ code: 'UNAVAILABLE' });
  expect(happened).toEqual(['recording']);
});

it('waits for the record, however long it takes', async () => {
  const committed = Promise.withResolvers<void>();
  const { call, happened } = setUp({ record: () => committed.promise });
  const called = call('look', { id: 'alice' });
  await new Promise((resolve) => setImmediate(resolve));
  expect(happened).toEqual(['recording']);
  committed.resolve();
  await called;
  expect(happened).toEqual(['recording', 'recorded', 'run']);
});

it('judges token, role, schema and reason in this order, and records none of what it refuses', async () => {
  const { happened, refusal } = setUp({ requireReason: true });
  const wrong = { id: 'much too long' };
  expect(await refusal('look', wrong, null)).toMatchObject({ code: 'UNAUTHORIZED' });
  expect(await refusal('look', wrong, 'enduser')).toMatchObject({ code: 'FORBIDDEN' });
  expect(await refusal('look', wrong)).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path: 'id' }] });
  const invisible = ['\u200b', '\ufeff', '\u2060', '\u00ad', '\u0001\u0085', '\u3164', ' \u200d\t\u202e\ufe0f '];
  for (const reason of [undefined, '', '  ', ...invisible]) {
    const refused = await refusal('look', { id: 'alice', ...(reason !== undefined && { reason }) });
    expect(refused).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path: 'reason' }] });
  }
  expect(await refusal('list', undefined)).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path: 'reason' }] });
  expect(await refusal('watch', { id: 'alice' })).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path: 'reason' }] });
  expect(happened).toEqual([]);
  expect(await refusal('look', { id: 'alice', reason: 'Ticket' })).toBeNull();
  expect(await refusal('look', { id: 'alice', reason: '\u200b?\u00ad' })).toBeNull();
  // What takes no reason asks for none.
  expect(await refusal('log', undefined, 'admin')).toBeNull();
});

it('lets supervisors and admins look, and admins alone read the log', async () => {
  const { refusal } = setUp();
  const told = async (path: string, given: unknown) =>
    Promise.all(
      (['enduser', 'supervisor', 'admin'] as const).map(
        async (role) => (await refusal(path, given, role))?.code ?? 'ok',
      ),
    );
  expect(await told('look', { id: 'alice' })).toEqual(['FORBIDDEN', 'ok', 'ok']);
  expect(await told('log', undefined)).toEqual(['FORBIDDEN', 'FORBIDDEN', 'ok']);
});

it.each([
  ['enduser', ['look', 'list', 'watch', 'log']],
  ['gone', ['look', 'list', 'watch', 'log']],
  ['supervisor', ['log']],
] as const)('takes the role of a token for nothing once its user is %s', async (current, paths) => {
  const { happened, refusal } = setUp({ current });
  for (const path of paths) {
    // Also where the input is wrong: whoever may not ask is told nothing of it.
    const refused = await refusal(path, { id: 'much too long' }, 'admin');
    expect(refused).toMatchObject({
      code: 'FORBIDDEN',
      detail: 'The role has ended since this token was issued.',
    });
  }
  expect(happened).toEqual([]);
});

it('leaves the record to an operation that writes it itself', async () => {
  const { call, happened } = setUp();
  await call('watch', { id: 'alice' });
  expect(happened).toEqual(['run']);
});

type SupervisorPath = `supervisor.${keyof inferRouterInputs<AppRouter>['supervisor']}`;

/** What is written down of whom: an action that is added is to be added here, and each is one procedure's alone. */
const recorded = {
  'observe.attach': 'supervisor.observe',
  'live.list': 'supervisor.live',
  'generation.stop': 'supervisor.stop',
  'user.sessions': 'supervisor.userSessions',
  'user.session': 'supervisor.userSession',
  'user.search': 'supervisor.searchUsers',
  'audit.read': 'supervisor.auditLog',
} satisfies Record<Exclude<AuditAction, 'observe.detach'>, SupervisorPath>;

it('is how every procedure of supervisors is built', () => {
  const router: AnyTRPCRouter = declaredRouter;
  const procedures = Object.entries(router._def.procedures as Record<string, { _def: { meta?: ProcedureMeta } }>);
  const audits = procedures.map(([path, procedure]) => [procedure._def.meta?.audit, path] as const);
  const audited = audits.filter(([audit, path]) => path.startsWith('supervisor.') || audit !== undefined);
  // As a list: one that writes nothing down, or the same as another, is not to be lost in it.
  expect(audited).toHaveLength(Object.keys(recorded).length);
  expect(audited).toEqual(expect.arrayContaining(Object.entries(recorded)));
});
