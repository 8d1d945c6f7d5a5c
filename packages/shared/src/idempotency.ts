import { z } from 'zod';

/** Names one attempt of the caller: a repeat with the same key and the same request never runs twice. */
export const idempotencyKeySchema = z
  .string()
  .regex(/^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/u, 'must be 1 to 255 printable ASCII characters');

/** Id of the last event that was seen. With it a subscription only follows: it never starts anything. */
export const lastEventIdSchema = z.string().max(512).nullish();
