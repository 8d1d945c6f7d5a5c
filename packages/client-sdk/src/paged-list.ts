import type { Pagination } from '@chat-service/shared/paging';

/** One page of a list: its items, and where the list stands. */
export interface Page<Item> {
  readonly items: Item[];
  readonly pagination: Pagination;
}

/** Where a page begins: at the position asked for first, or at a cursor. */
export type FetchPage<Item> = (cursor: string | null) => Promise<Page<Item>>;

/**
 * A list that is read page by page. Nothing is asked for before it is read.
 *
 * @example
 * for await (const session of chat.sessions.list()) console.log(session.title);
 * const { items, pagination } = await chat.sessions.list({ page: 2, limit: 50 }).page();
 */
export class PagedList<Item> implements AsyncIterable<Item> {
  readonly #fetchPage: FetchPage<Item>;

  /** @internal */
  constructor(fetchPage: FetchPage<Item>) {
    this.#fetchPage = fetchPage;
  }

  /** The page asked for, and it alone. */
  page(): Promise<Page<Item>> {
    return this.#fetchPage(null);
  }

  /** The page asked for and all that follow, by cursor: rows that come or go in between shift nothing. */
  async *pages(): AsyncGenerator<Page<Item>, void, undefined> {
    let cursor: string | null = null;
    do {
      const page: Page<Item> = await this.#fetchPage(cursor);
      yield page;
      cursor = page.pagination.nextCursor;
    } while (cursor !== null);
  }

  /** Every item from the page asked for to the end of the list. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    for await (const { items } of this.pages()) yield* items;
  }
}
