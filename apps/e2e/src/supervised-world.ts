import type { Database, Tables } from '@chat-service/server/db/database';
import { openRawSql, type RawSql } from '../../../packages/server/test/support/raw-sql.ts';
import { callFor } from './call-for.ts';
import { callOver, type Door } from './call-over.ts';
import { startWorld } from './world.ts';

export type Input = Readonly<Record<string, unknown>>;

/** A procedure of supervisors. */
interface Look {
  readonly type: 'query' | 'mutation' | 'subscription';
  readonly input: (userId: string, sessionId: string) => Input;
  /** What is then on record. */
  readonly action: string;
}

/** Every procedure of supervisors: what is asked for of whom, and what is then on record. */
const looks: Readonly<Record<string, Look>> = {
  'supervisor.observe': { type: 'subscription', input: (_, sessionId) => ({ sessionId }), action: 'observe.attach' },
  'supervisor.live': { type: 'query', input: () => ({}), action: 'live.list' },
  'supervisor.stop': { type: 'mutation', input: (_, sessionId) => ({ sessionId }), action: 'generation.stop' },
  'supervisor.userSessions': { type: 'query', input: (userId) => ({ userId }), action: 'user.sessions' },
  'supervisor.userSession': {
    type: 'query',
    input: (userId, sessionId) => ({ userId, sessionId }),
    action: 'user.session',
  },
  'supervisor.searchUsers': { type: 'query', input: (userId) => ({ query: userId }), action: 'user.search' },
  'supervisor.auditLog': { type: 'query', input: (userId) => ({ subjectId: userId }), action: 'audit.read' },
};
export const paths = Object.keys(looks);

export function lookOf(path: string): Look {
  const look = looks[path];
  if (look === undefined) throw new Error(`there is no ${path}`);
  return look;
}

const roles = { sue: 'supervisor', root: 'admin' } as const;
type Supervisor = keyof typeof roles;

/** A world with what the tests about supervisors need of it. */
export async function supervisedWorld(...parameters: Parameters<typeof startWorld>) {
  const world = await startWorld(...parameters);
  const database = await world.openDatabase();
  const sql = openRawSql(world.databaseUrl);
  const token = (sub: string) => world.token(sub, sub in roles ? { role: roles[sub as Supervisor] } : {});
  return {
    world,
    database,
    sql,
    token,
    /** The answer to a supervisor, over tRPC's HTTP door where none is named. @throws what was refused */
    async ask<Output>(
      path: string,
      input: Input = {},
      { as = 'sue', door = 'http', url = world.url }: { as?: string; door?: Door; url?: string } = {},
    ): Promise<Output> {
      const { refusal, result } = await callOver(world, door, { path, input, token: await token(as), url });
      if (refusal !== null) throw Object.assign(new Error(`refused: ${JSON.stringify(refusal)}`), { refusal });
      return result as Output;
    },
    /** A session of this user with an answer. */
    async conversation(user: string, title: string) {
      const { trpc } = world.trpc(user);
      const { sessionId } = await trpc.session.create.mutate({ title });
      await trpc.message.send.mutate({ sessionId, message: `Say hello to ${title}.` });
      return sessionId;
    },
    /** An answer that waits after its first chunk. */
    async running(user: string, message: string, url = world.url) {
      world.openai.script(message, { chunks: ['One two three', ' four'], hold: [1] });
      const { trpc } = world.trpc(user, url);
      const { sessionId } = await trpc.session.create.mutate({});
      const { streamId } = await trpc.message.start.mutate({ sessionId, message });
      const call = await callFor(world.openai, message);
      await call.reached(1);
      return { trpc, sessionId, streamId, call };
    },
    entries: () => entriesOf(database),
    async [Symbol.asyncDispose]() {
      await sql[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
    },
  };
}

export type Supervised = Awaited<ReturnType<typeof supervisedWorld>>;

/** Oldest first. */
async function entriesOf({ query, tables }: Database): Promise<Tables['auditLog']['$inferSelect'][]> {
  return query.select().from(tables.auditLog).orderBy(tables.auditLog.at, tables.auditLog.id);
}

/** Puts the audit log out of reach, so that nothing can be written to it. */
export async function withoutAuditLog(sql: RawSql, work: () => Promise<void>): Promise<void> {
  await sql.run('alter table audit_log rename to audit_log_away');
  try {
    await work();
  } finally {
    await sql.run('alter table audit_log_away rename to audit_log');
  }
}
