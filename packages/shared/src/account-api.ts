import { z } from 'zod';
import { timeSchema } from './objects.ts';

export const quotaSchema = z.object({
  /** What is counted: `sessions`, `messages`, `tokens` or `compute` (seconds of generation). */
  name: z.string(),
  /** The UTC day or month. */
  period: z.enum(['day', 'month']),
  used: z.number(),
  /** In the same unit as `used`. */
  limit: z.number(),
  /** When it starts anew. */
  resetsAt: timeSchema,
});
/** A limit of the caller's plan, and how much of it is used. */
export type Quota = z.infer<typeof quotaSchema>;

export const usageOutput = z.object({
  /** What can be spent now, without what is held; null where no credits are counted, or the user is not known. */
  credits: z.number().nullable(),
  /** Reserved for answers that are being written. */
  held: z.number(),
  plan: z.string(),
  quotas: z.array(quotaSchema),
  /** Calls in the window that runs now. */
  rateLimit: z.object({
    limit: z.int(),
    remaining: z.int(),
    /** When the window that runs now ends. */
    resetsAt: timeSchema,
  }),
});
export type UsageOutput = z.infer<typeof usageOutput>;
