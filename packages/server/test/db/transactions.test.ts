import { AsyncLocalStorage } from 'node:async_hooks';
import { inspect } from 'node:util';
import { eq, sql } from 'drizzle-orm';
import { beforeEach, expect, it } from 'vitest';
import type { Database, Queryable } from '../../src/db/database.ts';
import { StatementError } from '../../src/db/statement-error.ts';
import { TransactionMisuseError } from '../../src/db/transaction-scope.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { userRow } from '../support/rows.ts';

/** A promise and its hand. */
function gate() {
  return Promise.withResolvers<void>();
}

describeEachDatabase('transactions', (fixture) => {
  beforeEach(() => fixture.clear());

  const userIds = async (database: Database = fixture.database): Promise<string[]> => {
    const rows = await database.query.select({ id: database.tables.users.id }).from(database.tables.users);
    return rows.map((row) => row.id).toSorted();
  };
  const insertUser = async (handle: Queryable, id: string) => {
    await handle.insert(fixture.database.tables.users).values(userRow(id));
  };

  it('commits what resolves and hands on its result', async () => {
    const result = await fixture.database.transaction(async (tx) => {
      await insertUser(tx, 'a');
      return 'the result';
    });
    expect(result).toBe('the result');
    expect(await userIds()).toEqual(['a']);
  });

  it('rolls back what throws after an await, and goes on working', async () => {
    const failing = fixture.database.transaction(async (tx) => {
      await insertUser(tx, 'a');
      await new Promise((resolve) => setImmediate(resolve));
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(await userIds()).toEqual([]);
    await fixture.database.transaction((tx) => insertUser(tx, 'b'));
    await insertUser(fixture.database.query, 'c');
    expect(await userIds()).toEqual(['b', 'c']);
  });

  it('keeps lone statements that arrive meanwhile out of a transaction that rolls back', async () => {
    const { promise: entered, resolve: enter } = gate();
    const { promise: leave, resolve: release } = gate();
    const failing = fixture.database.transaction(async (tx) => {
      await insertUser(tx, 'inside');
      enter();
      await leave;
      throw new Error('no');
    });
    await entered;
    const lone = insertUser(fixture.database.query, 'outside');
    release();
    await expect(failing).rejects.toThrow('no');
    await lone;
    expect(await userIds()).toEqual(['outside']);
  });

  it('never mixes many concurrent transactions and lone statements', async () => {
    const { database } = fixture;
    await insertUser(database.query, 'counter');
    const { users } = database.tables;
    const work = Array.from({ length: 60 }, async (_, index) => {
      if (index % 3 === 0) return insertUser(database.query, `lone-${index}`);
      return database.transaction(async (tx) => {
        await insertUser(tx, `tx-${index}`);
        const [row] = await database.dialect.forUpdate(tx.select().from(users).where(eq(users.id, 'counter')));
        await new Promise((resolve) => setImmediate(resolve));
        // Read, wait, write: lost updates show here.
        await tx
          .update(users)
          .set({ sessionCount: (row?.sessionCount ?? 0) + 1 })
          .where(eq(users.id, 'counter'));
        if (index % 3 === 1) throw new Error('no');
      });
    });
    const settled = await Promise.allSettled(work);
    expect(settled.filter((result) => result.status === 'rejected')).toHaveLength(20);
    const ids = await userIds();
    expect(ids.filter((id) => id.startsWith('lone-'))).toHaveLength(20);
    expect(ids.filter((id) => id.startsWith('tx-')).map((id) => Number(id.slice(3)) % 3)).toEqual(Array(20).fill(2));
    const [counter] = await database.query.select().from(users).where(eq(users.id, 'counter'));
    expect(counter?.sessionCount).toBe(20);
  });

  it('refuses a nested transaction', async () => {
    const nested = fixture.database.transaction(async () => fixture.database.transaction(async () => 'never'));
    await expect(nested).rejects.toBeInstanceOf(TransactionMisuseError);
  });

  it('refuses a lone statement inside a transaction', async () => {
    const mixed = fixture.database.transaction(async (tx) => {
      await insertUser(tx, 'a');
      await insertUser(fixture.database.query, 'b');
    });
    await expect(mixed).rejects.toBeInstanceOf(TransactionMisuseError);
    expect(await userIds()).toEqual([]);
  });

  it('refuses a statement that a transaction left behind', async () => {
    const { promise: over, resolve: end } = gate();
    let leaked: Promise<void> | undefined;
    await fixture.database.transaction(async (tx) => {
      await insertUser(tx, 'a');
      leaked = over.then(() => insertUser(tx, 'leaked'));
      leaked.catch(() => {});
    });
    end();
    await expect(leaked).rejects.toBeInstanceOf(TransactionMisuseError);
    expect(await userIds()).toEqual(['a']);
  });

  it('lets what a transaction started go on with lone statements after it', async () => {
    const { promise: over, resolve: end } = gate();
    let detached: Promise<void> | undefined;
    await fixture.database.transaction(async (tx) => {
      await insertUser(tx, 'a');
      detached = over.then(() => insertUser(fixture.database.query, 'later'));
    });
    end();
    await detached;
    expect(await userIds()).toEqual(['a', 'later']);
  });

  it('does not commit after a failed statement, even when its error is swallowed', async () => {
    const swallowing = fixture.database.transaction(async (tx) => {
      await insertUser(tx, 'a');
      await insertUser(tx, 'a').catch(() => {});
      return 'as if nothing were wrong';
    });
    const error: unknown = await swallowing.catch((thrown: unknown) => thrown);
    expect(fixture.database.dialect.isUniqueViolation(error)).toBe(true);
    expect(await userIds()).toEqual([]);
  });

  it('keeps the context of its caller', async () => {
    const trace = new AsyncLocalStorage<string>();
    const seen = await trace.run('the trace', () =>
      fixture.database.transaction(async (tx) => {
        await insertUser(tx, 'a');
        return trace.getStore();
      }),
    );
    expect(seen).toBe('the trace');
  });

  // On SQLite the second would wait for the first to end, and the first for the second to begin.
  if (fixture.kind === 'postgres') {
    it('runs again what fell to a deadlock', async () => {
      const { database } = fixture;
      const { users } = database.tables;
      await database.query.insert(users).values([userRow('a'), userRow('b')]);
      const both = [gate(), gate()];
      const survived = gate();
      let runs = 0;
      const lockInOrder = async (first: string, second: string, index: number) => {
        let ownRuns = 0;
        await database.transaction(async (tx) => {
          runs += 1;
          ownRuns += 1;
          // At once it could take what the other is only about to be given, and fall to the same deadlock again.
          if (ownRuns > 1) await survived.promise;
          const increment = (id: string) =>
            tx
              .update(users)
              .set({ sessionCount: sql`${users.sessionCount} + 1` })
              .where(eq(users.id, id));
          await increment(first);
          both[index]?.resolve();
          await Promise.all(both.map(({ promise }) => promise));
          await increment(second);
        });
        survived.resolve();
      };
      await Promise.all([lockInOrder('a', 'b', 0), lockInOrder('b', 'a', 1)]);
      expect(runs).toBe(3);
      const rows = await database.query.select({ sessionCount: users.sessionCount }).from(users);
      expect(rows).toEqual([{ sessionCount: 2 }, { sessionCount: 2 }]);
    });

    it('gives up after three more runs', async () => {
      let runs = 0;
      const failing = fixture.database.transaction(async () => {
        runs += 1;
        throw Object.assign(new Error('could not serialize access'), { code: '40001' });
      });
      await expect(failing).rejects.toThrow('could not serialize access');
      expect(runs).toBe(4);
    });
  }

  it('keeps what users wrote out of the errors of statements', async () => {
    const { users } = fixture.database.tables;
    const secret = 'the secret text';
    const insert = () => fixture.database.query.insert(users).values({ ...userRow('a'), username: secret });
    await insert();
    // Also a row that violates NOT NULL: Postgres repeats it whole.
    const broken = fixture.database.query.update(users).set({ plan: sql`null` });
    for (const failing of [insert(), broken]) {
      const error: unknown = await failing.catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(StatementError);
      for (let current = error; current instanceof Error; current = current.cause) {
        expect(inspect(current)).not.toContain(secret);
      }
    }
  });

  it('refuses everything once it is disposed, as unavailable, after what was running', async () => {
    const database = await fixture.open();
    const running = database.transaction((tx) => insertUser(tx, 'last'));
    const closing = database[Symbol.asyncDispose]();
    await running;
    await closing;
    expect(await userIds()).toEqual(['last']);
    for (const late of [userIds(database), database.ping(), database.transaction(async () => {})]) {
      const error: unknown = await late.catch((thrown: unknown) => thrown);
      expect(database.dialect.isUnavailable(error)).toBe(true);
    }
  });
});
