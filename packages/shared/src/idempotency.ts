import { z } from 'zod';

/** Names one attempt of the caller: a repeat with the same key and the same request never runs twice. */
export const idempotencyKeySchema = z
  .string()
  .regex(/^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/u, 'must be 1 to 255 printable ASCII characters');

/** Beyond every id that was ever given to anybody. */
const longestEventId = 512;

/**
 * Id of the last event that was seen. With it a subscription only follows: it never starts anything. One that cannot be
 * read is no mistake, whoever names it starts over: what is too long is cut, and no less unreadable for it.
 */
export const lastEventIdSchema = z
  .string()
  .overwrite((id) => id.slice(0, longestEventId))
  .nullish();
