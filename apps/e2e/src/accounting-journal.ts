import type { Database, Tables } from '@chat-service/server/db/database';
import { isDueDelivery, isLiveGeneration } from '@chat-service/server/db/conditions';
import { expect, vi } from 'vitest';
import { patience } from './call-for.ts';
import type { FakeEffect } from './fake-accounting-books.ts';
import type { FakeAccounting } from './fake-accounting.ts';
import type { FakeCall, FakeOpenAi } from './fake-openai.ts';
import type { World } from './world.ts';

type GenerationRow = Tables['generations']['$inferSelect'];
type UsageRow = Tables['usageRecords']['$inferSelect'];
type OutboxRow = Tables['accountingOutbox']['$inferSelect'];

export interface CreditRows {
  readonly generations: readonly GenerationRow[];
  readonly usage: readonly UsageRow[];
  readonly outbox: readonly OutboxRow[];
}

export interface JournalOptions {
  /** Whose credits are looked at. @default everybody's */
  readonly userIds?: readonly string[];
  /** True: a charge need not have a hold, as with `ACCOUNTING_FAIL_OPEN`. @default false */
  readonly mayBeUnheld?: boolean;
}

/** What holds between our rows and what the services of others have seen, whatever happened meanwhile. */
export interface AccountingJournal {
  readonly database: Database;
  rows(): Promise<CreditRows>;
  /** Every generation without an owner may be recovered at once, and what is to be delivered is due, whoever had it in hand. */
  letWaitsPass(): Promise<void>;
  /** Waits until nothing is generated and nothing waits to be delivered; pauses of deliveries pass at once. */
  atRest(): Promise<CreditRows>;
  /** Asserts all of it at rest, the books being those of the Accounting Service and never our own. */
  check(options?: JournalOptions): Promise<CreditRows>;
}

export async function openAccountingJournal(
  world: Pick<World, 'openDatabase' | 'openai' | 'accounting'>,
): Promise<AccountingJournal> {
  const database = await world.openDatabase();
  const { query, tables } = database;
  const { generations, usageRecords, accountingOutbox } = tables;
  const long = new Date(0);
  const rows = async (): Promise<CreditRows> => ({
    generations: await query.select().from(generations),
    usage: await query.select().from(usageRecords),
    outbox: await query.select().from(accountingOutbox),
  });
  const makeDue = async () => {
    await query.update(accountingOutbox).set({ nextAttemptAt: long }).where(isDueDelivery(accountingOutbox));
  };
  const atRest = async () => {
    await vi.waitFor(
      async () => {
        const live = await query.select().from(generations).where(isLiveGeneration(generations));
        const waiting = await query.select().from(accountingOutbox).where(isDueDelivery(accountingOutbox));
        if (waiting.some(({ leasedBy }) => leasedBy === null)) await makeDue();
        expect({ live, waiting }).toEqual({ live: [], waiting: [] });
      },
      { ...patience, interval: 15 },
    );
    return rows();
  };
  return {
    database,
    rows,
    async letWaitsPass() {
      await query.update(generations).set({ leaseExpiresAt: long }).where(isLiveGeneration(generations));
      await makeDue();
    },
    atRest,
    async check({ userIds, mayBeUnheld = false } = {}) {
      const found = await atRest();
      const isMeant = ({ userId }: { userId: string | null }) => userIds?.includes(userId ?? '') ?? true;
      checkEffects(world.accounting, isMeant, mayBeUnheld);
      checkRows(
        { ...found, usage: found.usage.filter(isMeant), generations: found.generations.filter(isMeant) },
        world.accounting,
      );
      const effects = world.accounting.effects.filter(isMeant);
      checkProvider(effects, found, world.openai);
      return found;
    },
  };
}

/** Each usage id: charged once, or released, or nothing was held; and no account is ever beyond what it has. */
function checkEffects(
  accounting: FakeAccounting,
  isMeant: (of: { userId: string }) => boolean,
  mayBeUnheld: boolean,
): void {
  const effects = accounting.effects.filter(isMeant);
  expect(accounting.openHolds().filter(isMeant), 'nothing is held at rest').toEqual([]);
  const byUsage = Map.groupBy(effects, ({ usageId }) => usageId);
  for (const [usageId, happened] of byUsage) {
    const kinds = happened.map(({ kind }) => kind);
    const ways = mayBeUnheld ? ['hold charge', 'hold release', 'charge'] : ['hold charge', 'hold release'];
    expect(ways, `what happened to ${usageId}: ${kinds.join(' ')}`).toContain(kinds.join(' '));
    const amount = (kind: FakeEffect['kind']) => happened.find((effect) => effect.kind === kind)?.credits;
    const [held, charged] = [amount('hold'), amount('charge')];
    if (held !== undefined) expect(charged ?? 0, `${usageId} is not charged beyond its hold`).toBeLessThanOrEqual(held);
    expect(new Set(happened.map(({ userId }) => userId)).size, 'a usage id is one user’s').toBe(1);
  }
  if (mayBeUnheld) return;
  const inUse = new Map<string, number>();
  const granted = new Map(
    [...new Set(effects.map(({ userId }) => userId))].map((userId) => [userId, accounting.totals(userId).granted]),
  );
  const held = new Map<string, number>();
  for (const { kind, usageId, userId, credits } of effects) {
    const before = inUse.get(userId) ?? 0;
    if (kind === 'hold') held.set(usageId, credits);
    const after = kind === 'hold' ? before + credits : before - (held.get(usageId) ?? 0);
    inUse.set(userId, kind === 'charge' ? after + credits : after);
    expect(inUse.get(userId), `${userId} has that much`).toBeLessThanOrEqual(granted.get(userId) ?? 0);
  }
  for (const userId of inUse.keys()) {
    expect(accounting.totals(userId), `the books of ${userId}`).toMatchObject({ held: 0 });
    expect(accounting.totals(userId).available, `the balance of ${userId}`).toBeGreaterThanOrEqual(0);
  }
}

/** What our rows say was charged was charged, to the millionth; what was admitted is settled, what was refused is not. */
function checkRows({ usage, generations, outbox }: CreditRows, accounting: FakeAccounting): void {
  const parked = new Set(outbox.map(({ usageId }) => usageId));
  for (const { usageId, state, charged } of usage) {
    expect(state, `usage ${usageId} is settled`).not.toBe('held');
    if (parked.has(usageId)) continue;
    const expected = state === 'charged' ? [charged] : [];
    const amounts = accounting.chargesOf(usageId).map(({ credits }) => credits);
    expect(amounts, `usage ${usageId} is ${state} and in the journal`).toEqual(expected);
  }
  const settled = new Set(usage.map(({ usageId }) => usageId));
  for (const { id, status } of generations) {
    const isRefused = status === 'refused';
    expect(settled.has(id), `generation ${id} (${status}) has ${isRefused ? 'no ' : 'a '}usage record`).toBe(
      !isRefused,
    );
    if (isRefused) expect(accounting.chargesOf(id), `${id} was refused and is not charged`).toEqual([]);
  }
}

/** The model's calls for a generation: each names it in a header of its own. */
export function callsOf(openai: FakeOpenAi, generationId: string): FakeCall[] {
  return openai.calls.filter(({ headers }) => headers['x-client-request-id'] === generationId);
}

/** Nobody pays for what no model was asked for; and nothing but a stop is paid for before its first token. */
function checkProvider(effects: readonly FakeEffect[], { generations }: CreditRows, openai: FakeOpenAi): void {
  const calls = Map.groupBy(openai.calls, ({ headers }) => String(headers['x-client-request-id']));
  for (const { usageId } of effects.filter(({ kind }) => kind === 'charge')) {
    const made = calls.get(usageId) ?? [];
    expect(made.length, `a model was called for ${usageId}`).toBeGreaterThan(0);
    const status = generations.find(({ id }) => id === usageId)?.status;
    // Of a deleted session there is no row; a deletion is a stop.
    if (status === undefined || status === 'stopped') continue;
    const sent = made.flatMap((call) => call.sent);
    expect(sent.length, `something was produced for ${usageId} (${status})`).toBeGreaterThan(0);
  }
}
