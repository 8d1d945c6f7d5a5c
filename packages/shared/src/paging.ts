import { z } from 'zod';

/** Items of a page where no `limit` is given, and at most. */
export const defaultPageLimit = 20;
export const maxPageLimit = 100;
/** Characters of a `cursor`, at most. */
export const maxCursorLength = 2048;

const pageFields = {
  /** From 1. Not together with `cursor`. */
  page: z.int().min(1).optional(),
  /** 1 to 100. @default 20 */
  limit: z.int().min(1).max(maxPageLimit).optional(),
  /** Opaque position from `pagination.nextCursor`; valid also when its row is gone. */
  cursor: z.string().min(1).max(maxCursorLength).optional(),
};

/** The paging fields of a list with further fields of its own. */
export function pagedInput<Shape extends z.ZodRawShape>(shape: Shape) {
  return z
    .strictObject({ ...pageFields, ...shape })
    .refine(
      (input) => !('page' in input && input.page !== undefined && 'cursor' in input && input.cursor !== undefined),
      {
        path: ['cursor'],
        message: 'page and cursor exclude one another',
      },
    );
}

export const paginationSchema = z.object({
  /** The page asked for; null when a cursor was used. */
  page: z.int().nullable(),
  limit: z.int(),
  /** Items on all pages. */
  total: z.int(),
  /** 0 where `total` is 0. */
  totalPages: z.int(),
  hasMore: z.boolean(),
  /** The `cursor` of the next page; null on the last one. */
  nextCursor: z.string().nullable(),
});
/** Where a list stands: the contract's `Page`. */
export type Pagination = z.infer<typeof paginationSchema>;
