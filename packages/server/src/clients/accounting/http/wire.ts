import { z } from 'zod';

/*
 * What the Accounting Service is sent and answers. Members that are not named here are ignored, as its answers may grow;
 * one that is named and malformed makes the whole answer none.
 */

/** Body of `POST /api/credits/check`. */
export interface CheckBody {
  readonly usageId: string;
  readonly userId: string;
  readonly plan: string;
  readonly sessionId: string;
  /** Null for a session, which any model may answer in. */
  readonly modelId: string | null;
  readonly operation: 'session' | 'message';
  readonly estimate: { readonly inputTokens: number; readonly outputTokens: number; readonly credits: number };
  readonly holdSeconds: number;
}

const credits = z.number();
const name = z.string().min(1).max(255);
const instant = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

export const checkAnswerSchema = z.discriminatedUnion('sufficient', [
  z.object({ sufficient: z.literal(true), holdId: name.nullish(), remainingCredits: credits.nullish() }),
  z.object({ sufficient: z.literal(false), remainingCredits: credits.nullish() }),
]);

/** Of a 402, whose status says everything: a remainder that cannot be read is not known. */
export const paymentRequiredSchema = z
  .object({ remainingCredits: credits.nullish().catch(null) })
  .catch({ remainingCredits: null });

/** Of a 429; without these two it comes from something in between that limits rates. */
export const quotaAnswerSchema = z.object({ quota: name, resetsAt: instant });

export const recordAnswerSchema = z.object({ recorded: z.literal(true) });

export const balanceAnswerSchema = z.object({
  credits: credits.nullable(),
  held: credits.min(0).nullish(),
  plan: name,
  quotas: z
    .array(
      z.object({
        name,
        period: z.enum(['day', 'month']),
        used: z.number().min(0),
        limit: z.number().min(0),
        resetsAt: instant,
      }),
    )
    .max(100),
});
