/** Every row of a list that is read in batches, in its order; `keyOf` tells where the next batch begins. */
export async function* readInBatches<Row>(
  list: (after: string, limit: number) => PromiseLike<Row[]>,
  size: number,
  keyOf: (row: Row) => string,
): AsyncGenerator<Row, void, undefined> {
  for (let after = ''; ;) {
    const rows = await list(after, size);
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < size) return;
    after = keyOf(last);
  }
}
