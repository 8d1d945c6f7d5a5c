import { z } from 'zod';
import { boundedText } from '@chat-service/shared/text';
import { describeFileIssues, parseJsonFile } from '../../../platform/json-file.ts';
import { microPerCredit } from '../accounting.ts';
import type { Plan, Plans, QuotaLimits } from './plans.ts';

/** Nine hundred such grants on one account can still be counted exactly in millionths. */
const largestGrant = 10_000_000;
/** Tokens, or seconds of generation, which are counted in milliseconds. */
const largestLimit = 1_000_000_000_000;

const credits = z
  .number({ error: (issue) => (issue.input === undefined ? 'is missing' : 'must be a number') })
  .min(0, { error: 'must not be negative' })
  .max(largestGrant, { error: `must be at most ${largestGrant}; for no limit write "grant": null` })
  .refine((value) => Number(value.toFixed(6)) === value, { error: 'must have at most 6 decimal places' });
const limit = z
  .int({ error: 'must be a whole number' })
  .min(0, { error: 'must not be negative' })
  .max(largestLimit, { error: `must be at most ${largestLimit}; for no limit leave it out` })
  .optional();
const limits = z.strictObject(
  { sessions: limit, messages: limit, tokens: limit, compute: limit },
  { error: objectError('must be an object of limits') },
);

const planEntry = z.strictObject(
  {
    grant: z
      .strictObject(
        { credits, every: z.enum(['once', 'month'], { error: 'must be "once" or "month"' }) },
        { error: objectError('must be an object with credits and every, or null for credits that are not counted') },
      )
      .nullable(),
    quotas: z
      .strictObject(
        { day: limits.optional(), month: limits.optional() },
        { error: objectError('must be an object with day and month') },
      )
      .optional(),
  },
  { error: objectError('must be an object with grant and quotas') },
);

const plansFile = z.strictObject(
  {
    plans: z.record(z.string(), planEntry, { error: objectError('must be an object of plans by name') }),
  },
  { error: objectError('must be an object with the field "plans"') },
);

/** Unknown fields are told one by one, under their own names. */
function objectError(words: string) {
  return (issue: { code: string }) => (issue.code === 'invalid_type' ? words : undefined);
}

export type PlansFileResult =
  | { readonly ok: true; readonly plans: Plans }
  | { readonly ok: false; readonly problems: readonly string[] };

/** Reads the text of a file of plans; tells every problem at once, each with the plan it is about. */
export function readPlansFile(text: string): PlansFileResult {
  const read = parseJsonFile(text);
  if (!read.ok) return read;
  const parsed = plansFile.safeParse(read.json);
  const issues = parsed.success ? [] : describeFileIssues(parsed.error, describePath);
  const problems = [...issues, ...nameProblems(read.json)];
  if (!parsed.success || problems.length > 0) return { ok: false, problems };
  return {
    ok: true,
    plans: new Map(Object.entries(parsed.data.plans).map(([name, plan]) => [name, toPlan(name, plan)])),
  };
}

function toPlan(name: string, { grant, quotas }: z.infer<typeof planEntry>): Plan {
  return {
    name,
    grant: grant === null ? null : { amount: Math.round(grant.credits * microPerCredit), every: grant.every },
    quotas: { day: toLimits(quotas?.day), month: toLimits(quotas?.month) },
  };
}

function toLimits(given: z.infer<typeof limits> = {}): QuotaLimits {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** `plan "free" grant.credits` */
function describePath([first, name, ...rest]: readonly PropertyKey[]): string {
  if (first === undefined) return 'the file';
  if (name === undefined) return String(first);
  return [`plan ${JSON.stringify(name)}`, rest.join('.')].filter((part) => part !== '').join(' ');
}

const nameSchema = boundedText(1, 255);

function nameProblems(json: unknown): string[] {
  const file = z.object({ plans: z.record(z.string(), z.unknown()) }).safeParse(json).data;
  if (file === undefined) return [];
  const names = Object.keys(file.plans);
  const problems = names.flatMap((name) => {
    const where = `plan ${JSON.stringify(name)}`;
    if (!nameSchema.safeParse(name).success) return [`${where}: the name must have 1 to 255 characters`];
    // It would be taken for the grant of another plan in that month.
    return /:\d{4}-\d{2}$/.test(name) ? [`${where}: the name must not end in a colon and a month`] : [];
  });
  return names.includes('free')
    ? problems
    : [...problems, 'there is no plan "free", which holds for every user without one'];
}
