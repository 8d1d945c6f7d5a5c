import { expect, it } from 'vitest';
import type { Message } from '@chat-service/shared/objects';
import { readHistory } from '../../../src/features/generations/read-history.ts';

const kibi = 1024;

/** A store of messages that notes what is read of it. */
function setUp(...lengths: number[]) {
  const stored = lengths.map((length, index) => ({ id: `m${index}`, length }));
  const gone = new Set<string>();
  const reads: string[][] = [];
  const messages = async (ids: readonly string[]) => {
    reads.push([...ids]);
    return ids.filter((id) => !gone.has(id)).map((id) => ({ id }) as Message);
  };
  return { stored, gone, reads, pages: readHistory({ messages }, stored) };
}

async function idsOf(pages: AsyncIterable<readonly Message[] | null>) {
  const ids: (string[] | null)[] = [];
  for await (const page of pages) ids.push(page?.map(({ id }) => id) ?? null);
  return ids;
}

it('tells all messages in their order, as many at a time as are short together', async () => {
  const { pages } = setUp(1, 30 * kibi, 34 * kibi - 1, 1, 70 * kibi, 0, 64 * kibi);
  expect(await idsOf(pages)).toEqual([['m0', 'm1', 'm2'], ['m3'], ['m4'], ['m5', 'm6']]);
});

it('reads nothing of an empty session', async () => {
  const { pages, reads } = setUp();
  expect(await idsOf(pages)).toEqual([]);
  expect(reads).toEqual([]);
});

it('reads no page before it is asked for', async () => {
  const { pages, reads } = setUp(60 * kibi, 60 * kibi, 60 * kibi);
  await pages.next();
  expect(reads).toEqual([['m0']]);
  await pages.next();
  expect(reads).toEqual([['m0'], ['m1']]);
});

it('ends with null where a message has been deleted meanwhile', async () => {
  const { pages, gone, reads } = setUp(60 * kibi, 10 * kibi, 1, 60 * kibi);
  await pages.next();
  gone.add('m2');
  expect(await idsOf(pages)).toEqual([null]);
  expect(reads).toEqual([['m0'], ['m1', 'm2']]);
});
