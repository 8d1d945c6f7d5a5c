import { microPerCredit, type Micro } from '../accounting.ts';

/** In the order in which one that is used up is told. */
export const quotaNames = ['sessions', 'messages', 'tokens', 'compute'] as const;
export type LimitedName = (typeof quotaNames)[number];

/** The shorter first. */
export const periodNames = ['day', 'month'] as const;
export type PeriodName = (typeof periodNames)[number];

/** How much of each may be used in a period, `compute` in seconds of generation; what is left out has no limit. */
export type QuotaLimits = Readonly<Partial<Record<LimitedName, number>>>;

/** What a user of a plan is given, and how much they may use. */
export interface Plan {
  readonly name: string;
  /** Null: no credits are counted. */
  readonly grant: { readonly amount: Micro; readonly every: 'once' | 'month' } | null;
  readonly quotas: Readonly<Record<PeriodName, QuotaLimits>>;
}

/** Plans by name; `free` is always among them. */
export type Plans = ReadonlyMap<string, Plan>;

const noQuotas = { day: {}, month: {} };
const monthly = (credits: number) => ({ amount: credits * microPerCredit, every: 'month' }) as const;

/** What holds where no file of plans is configured. */
export const builtInPlans: Plans = new Map<string, Plan>([
  ['free', { name: 'free', grant: monthly(1_000), quotas: noQuotas }],
  ['pro', { name: 'pro', grant: monthly(20_000), quotas: noQuotas }],
  ['unlimited', { name: 'unlimited', grant: null, quotas: noQuotas }],
]);

/** The plan that holds for a user whose token says `name`: one that is not configured counts as `free`. */
export function planFor(plans: Plans, name: string): Plan {
  const plan = plans.get(name) ?? plans.get('free');
  if (plan === undefined) throw new Error('There is no plan "free".');
  return plan;
}

/** Whether the plan limits any of `names`. */
export function limitsAny({ quotas }: Plan, names: readonly LimitedName[]): boolean {
  return periodNames.some((period) => names.some((name) => quotas[period][name] !== undefined));
}
