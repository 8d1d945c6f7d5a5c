import { z } from 'zod';
import { idSchema } from '@chat-service/shared/objects';
import { defaultPageLimit, type Pagination } from '@chat-service/shared/paging';
import { ServiceError } from './service-error.ts';

/** What a list was asked for, the defaults filled in. */
export interface PageRequest {
  readonly page?: number | undefined;
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

/** Where a list begins: after a position, or at an offset. */
export type PageStart<Position> =
  | { readonly after: Position; readonly offset: 0 }
  | { readonly after: null; readonly offset: number };

export interface PageRead<Position> {
  readonly start: PageStart<Position>;
  readonly limit: number;
  /** One more than the limit, so that it is seen whether more follow. */
  readonly fetch: number;
}

/** The end of the year 9999: later times are written in a form that not every database reads. */
export const latestTime = 253_402_300_799_999;

/** The position in a list that is sorted by a time and then by id, as its cursors hold it. */
export const timeAndId = z.tuple([
  z
    .int()
    .min(0)
    .max(latestTime)
    .transform((time) => new Date(time)),
  idSchema,
]);

/** A cursor is a position, not a row, so it stays valid when its row is gone. */
function encodeCursor(position: unknown): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

/** @throws ServiceError `BAD_REQUEST` for a cursor that this list has not made */
function decodeCursor<Position>(schema: z.ZodType<Position>, cursor: string): Position {
  let position: unknown;
  try {
    position = JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    position = undefined;
  }
  const parsed = schema.safeParse(position);
  if (parsed.success) return parsed.data;
  throw new ServiceError('BAD_REQUEST', {
    detail: 'The cursor cannot be read.',
    errors: [{ path: 'cursor', message: 'must be a nextCursor of this list' }],
  });
}

export function pageRead<Position>(schema: z.ZodType<Position>, request: PageRequest): PageRead<Position> {
  const limit = request.limit ?? defaultPageLimit;
  const fetch = limit + 1;
  if (request.cursor !== undefined) {
    return { start: { after: decodeCursor(schema, request.cursor), offset: 0 }, limit, fetch };
  }
  return { start: { after: null, offset: ((request.page ?? 1) - 1) * limit }, limit, fetch };
}

/** Cuts the extra row off and tells where the list stands. `total` is the list's counter. */
export function paginate<Row>(
  rows: readonly Row[],
  request: PageRequest,
  total: number,
  positionOf: (row: Row) => unknown,
): { rows: Row[]; pagination: Pagination } {
  const limit = request.limit ?? defaultPageLimit;
  const shown = rows.slice(0, limit);
  const hasMore = rows.length > limit;
  const last = shown.at(-1);
  return {
    rows: shown,
    pagination: {
      page: request.cursor === undefined ? (request.page ?? 1) : null,
      limit,
      total,
      totalPages: Math.ceil(total / limit),
      hasMore,
      nextCursor: hasMore && last !== undefined ? encodeCursor(positionOf(last)) : null,
    },
  };
}
