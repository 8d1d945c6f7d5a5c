import { expect } from 'vitest';
import { callsOf, type AccountingJournal, type CreditRows } from '../accounting-journal.ts';
import type { FakeCall } from '../fake-openai.ts';
import type { World } from '../world.ts';
import { runModels } from './plan-run.ts';

interface RecordBody {
  readonly modelId: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly credits: number;
  readonly outcome: string;
}

/**
 * Asserts that what was produced is charged, and nothing else: by the tokens that the model has told of whole answers, by
 * the words that are stored of all others. Each word of an answer is one token.
 */
export async function checkCharges(
  world: World,
  { database }: AccountingJournal,
  { generations }: CreditRows,
  userIds: readonly string[],
): Promise<void> {
  const messages = await database.query.select().from(database.tables.messages);
  const contents = new Map(messages.map(({ id, content }) => [id, content]));
  for (const { id, userId, status, servedBy } of generations) {
    if (status === 'refused' || !userIds.includes(userId)) continue;
    const text = contents.get(id) ?? '';
    const produced = [...text.matchAll(/\S+/gu)].length;
    const [charge, ...more] = world.accounting.chargesOf(id);
    const calls = callsOf(world.openai, id);
    expect(more).toEqual([]);
    if (charge === undefined) {
      expect([id, status, text], 'what was produced is charged').toEqual([
        id,
        expect.not.stringMatching('complete'),
        '',
      ]);
      if (status === 'stopped') expect(calls, 'what was stopped and not charged was not called for').toEqual([]);
      continue;
    }
    const asked = world.accounting.requestsOf(id);
    const check = asked[0]?.body as { estimate: { inputTokens: number } } | undefined;
    const record = asked.find(({ operation }) => operation === 'record')?.body as RecordBody;
    expect(record.outcome, `outcome of ${id}`).toBe(status);
    const told = calls.flatMap((call) => (call.state === 'finished' ? [usageOf(call)] : [])).at(-1);
    const { inputTokens, outputTokens } = record;
    // What the model has told counts of a whole answer, and of a stopped one where it came before the stop.
    if (status === 'complete' || (status === 'stopped' && inputTokens === told?.inputTokens)) {
      expect({ inputTokens, outputTokens }, `usage of ${id}`).toEqual(told);
    } else {
      expect(outputTokens, `output of ${id} (${status}): "${text}"`).toBe(produced);
      // For a model with a vocabulary of its own a quarter more is held.
      expect(Math.ceil(inputTokens * 1.25), `input of ${id}`).toBe(check?.estimate.inputTokens);
    }
    const model = runModels.find((one) => one.id === record.modelId);
    if (servedBy !== null) expect(record.modelId).toBe(servedBy);
    const cost = costOf(record, model?.creditCost ?? { input: NaN, output: NaN });
    const held = world.accounting.holdOf(id)?.credits ?? Infinity;
    expect(charge.credits, `charge for ${id}`).toBe(Math.min(cost, held));
  }
}

/** What the fake model tells: a token for each word of the prompt and each chunk of the answer, unless it was told else. */
function usageOf({ plan, body, sent }: FakeCall): { inputTokens: number; outputTokens: number } {
  const { prompt_tokens: input, completion_tokens: output } = plan.usage ?? {};
  const words = body.messages.reduce((sum, { content }) => sum + content.split(/\s+/u).length, 0);
  return { inputTokens: Number(input ?? words), outputTokens: Number(output ?? sent.length) };
}

/** Millionths, by the six places that prices have at most. */
function costOf(
  { inputTokens, outputTokens }: RecordBody,
  price: { readonly input: number; readonly output: number },
): number {
  const micro = (credits: number) => BigInt(Math.round(credits * 1e6));
  return Number((BigInt(inputTokens) * micro(price.input) + BigInt(outputTokens) * micro(price.output) + 999n) / 1000n);
}
