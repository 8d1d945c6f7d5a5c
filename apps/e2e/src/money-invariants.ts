import type { Database } from '@chat-service/server/db/database';
import { expect } from 'vitest';

/**
 * That money adds up, of the whole database: read in one go, so that it holds at any instant, whatever runs. What was
 * really charged by an Accounting Service is for its own journal to say.
 */
export async function checkMoney(database: Database): Promise<void> {
  const { accounts, usage, generations, entries } = await database.transaction(async (tx) => {
    const { creditAccounts, usageRecords, generations: table, ledgerEntries } = database.tables;
    return {
      // Whoever moves money holds the account: what is read after it belongs to the same instant.
      accounts: await database.dialect.forUpdate(tx.select().from(creditAccounts).orderBy(creditAccounts.userId)),
      usage: await tx.select().from(usageRecords),
      generations: await tx.select().from(table),
      entries: await tx.select().from(ledgerEntries),
    };
  });
  const total = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0);
  for (const { userId, granted, held, spent } of accounts) {
    const own = usage.filter((record) => record.userId === userId && record.day !== null);
    const amounts = entries.filter((entry) => entry.userId === userId);
    expect(granted - held - spent, 'nobody overspends').toBeGreaterThanOrEqual(0);
    expect(held, 'what is held is held for something').toBe(
      total(own.map((record) => (record.state === 'held' ? (record.held ?? 0) : 0))),
    );
    expect(total(amounts.map(({ amount }) => amount)), 'the ledger says the same').toBe(granted - spent);
  }
  for (const { usageId, state, held, charged } of usage) {
    const generation = generations.find(({ id }) => id === usageId);
    if (held !== null) expect(charged ?? 0, 'no charge is above its hold').toBeLessThanOrEqual(held);
    if (state === 'held') expect(generation?.status, 'nothing is held for nothing').toMatch(/^(reserving|running)$/u);
  }
  for (const { id, status, admittedAt } of generations) {
    if (admittedAt === null) continue;
    const { state } = usage.find(({ usageId }) => usageId === id) ?? {};
    expect(state, 'what was admitted is settled with its end').toMatch(
      status === 'running' ? /^held$/u : /^(charged|released)$/u,
    );
  }
}
