import { asc, sql } from 'drizzle-orm';
import type {
  Accounting,
  Charge,
  CreditCheck,
  Hold,
  Micro,
  Release,
} from '../../../src/clients/accounting/accounting.ts';
import { createEmbeddedAccounting } from '../../../src/clients/accounting/embedded/embedded-accounting.ts';
import { builtInPlans, type Plan, type Plans } from '../../../src/clients/accounting/embedded/plans.ts';
import type { Database } from '../../../src/db/database.ts';
import { newUuid } from '../../../src/platform/ids.ts';
import { silentLogger } from '../../support/databases.ts';

export const credit = 1_000_000;

/** `database` with a clock whose hands the test turns. */
export function databaseAt(database: Database, now: () => string): Database {
  const { users } = database.tables;
  const nowPlus = (milliseconds: number) => {
    const time = sql.param(new Date(Date.parse(now()) + milliseconds), users.createdAt);
    return (database.kind === 'sqlite' ? sql<Date>`${time}` : sql<Date>`${time}::timestamptz`).mapWith(users.createdAt);
  };
  return { ...database, dialect: { ...database.dialect, now: () => nowPlus(0), nowPlus } };
}

/** Plans by name; quotas that are left out set no limit. */
export function plansOf(
  plans: Record<string, { grant: Plan['grant']; day?: Plan['quotas']['day']; month?: Plan['quotas']['month'] }>,
): Plans {
  return new Map(
    Object.entries(plans).map(([name, { grant, day = {}, month = {} }]) => [
      name,
      { name, grant, quotas: { day, month } },
    ]),
  );
}

export const once = (credits: number) => ({ amount: credits * credit, every: 'once' }) as const;
export const monthly = (credits: number) => ({ amount: credits * credit, every: 'month' }) as const;

export interface LedgerWorld {
  readonly accounting: Accounting;
  check(userId: string, changes?: Partial<CreditCheck> & { tokens?: number; credits?: Micro }): Promise<Checked>;
  settle(usage: Checked, changes?: Partial<Charge>): Promise<void>;
  release(usage: Pick<Checked, 'usageId' | 'userId'>, changes?: Partial<Release>): Promise<void>;
  /** Opens a session, as far as accounting is concerned. */
  openSession(userId: string, plan?: string): Promise<Awaited<ReturnType<Accounting['countSession']>>>;
  balance(userId: string, plan?: string): ReturnType<Accounting['balance']>;
}

/** A check and what it was told. */
export interface Checked {
  readonly usageId: string;
  readonly userId: string;
  readonly decision: Awaited<ReturnType<Accounting['check']>>;
  /** Nothing is held where it was refused. */
  readonly hold: Hold;
  readonly tokens: number;
}

const nothingHeld: Hold = { held: null, holdId: null, periods: null };

export function createLedgerWorld(database: Database, plans: Plans = builtInPlans): LedgerWorld {
  const accounting = createEmbeddedAccounting({ database, plans, logger: silentLogger, newId: newUuid });
  return {
    accounting,

    async check(userId, { tokens = 100, credits = credit, ...changes } = {}) {
      const request: CreditCheck = {
        userId,
        usageId: newUuid(),
        sessionId: 'session',
        modelId: 'model',
        plan: 'free',
        userToken: null,
        estimate: { inputTokens: tokens - Math.floor(tokens / 2), outputTokens: Math.floor(tokens / 2), credits },
        ...changes,
      };
      const decision = await accounting.check(request);
      const hold = decision.kind === 'granted' ? decision.hold : nothingHeld;
      return { usageId: request.usageId, userId, decision, hold, tokens };
    },

    settle: ({ usageId, userId, hold, tokens }, changes = {}) =>
      database.transaction((tx) =>
        accounting.settle(tx, {
          usageId,
          userId,
          sessionId: 'session',
          modelId: 'model',
          hold,
          quotaTokens: tokens,
          inputTokens: 10,
          outputTokens: 20,
          credits: 0,
          absorbed: 0,
          outcome: 'complete',
          computeMilliseconds: 0,
          occurredAt: new Date('2026-11-22T12:00:00.000Z'),
          ...changes,
        }),
      ),

    release: ({ usageId, userId }, changes = {}) =>
      database.transaction((tx) =>
        accounting.release(tx, {
          usageId,
          userId,
          hold: nothingHeld,
          quotaTokens: 0,
          ...changes,
        }),
      ),

    openSession: (userId, plan = 'free') =>
      database.transaction((tx) =>
        accounting.countSession(tx, { userId, plan, sessionId: 'session', userToken: null }),
      ),

    balance: (userId, plan = 'free') => accounting.balance({ userId, plan, userToken: null }),
  };
}

/** All rows of the ledger, as one transaction sees them. */
export async function readLedger({ transaction, tables }: Database) {
  const { creditAccounts, ledgerEntries, usageRecords, quotaUsage } = tables;
  return transaction(async (tx) => ({
    accounts: await tx.select().from(creditAccounts).orderBy(asc(creditAccounts.userId)),
    entries: await tx.select().from(ledgerEntries).orderBy(asc(ledgerEntries.userId), asc(ledgerEntries.key)),
    usage: await tx.select().from(usageRecords).orderBy(asc(usageRecords.usageId)),
    quotas: await tx.select().from(quotaUsage).orderBy(asc(quotaUsage.userId), asc(quotaUsage.period)),
  }));
}

/** Deletes every row of the ledger, and of what waits to be delivered. */
export async function clearLedger({ transaction, tables }: Database): Promise<void> {
  await transaction(async (tx) => {
    await tx.delete(tables.creditAccounts);
    await tx.delete(tables.ledgerEntries);
    await tx.delete(tables.usageRecords);
    await tx.delete(tables.quotaUsage);
    await tx.delete(tables.accountingOutbox);
  });
}
