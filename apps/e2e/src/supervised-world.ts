import type { Database, Tables } from '@chat-service/server/db/database';
import { openRawSql } from '../../../packages/server/test/support/raw-sql.ts';
import { callFor } from './call-for.ts';
import { callOver, type Door } from './call-over.ts';
import type { Input } from './supervisor-looks.ts';
import { startWorld } from './world.ts';

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
