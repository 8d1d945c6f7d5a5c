import { z } from 'zod';
import { timeSchema } from './objects.ts';

export const healthOutput = z.object({
  /** `degraded`: it serves, with something it depends on away. */
  status: z.enum(['ok', 'degraded', 'unavailable']),
  version: z.string(),
  timestamp: timeSchema,
  checks: z.record(z.string(), z.object({ status: z.enum(['ok', 'degraded', 'unavailable']) })),
});
export type HealthOutput = z.infer<typeof healthOutput>;

/** Raised when a name of the contract is removed or changed. */
export const apiVersion = 1;
export const versionOutput = z.object({
  version: z.string(),
  /** The commit it was built from, or null where that is not known. */
  commit: z.string().nullable(),
  apiVersion: z.literal(apiVersion),
});
export type VersionOutput = z.infer<typeof versionOutput>;
