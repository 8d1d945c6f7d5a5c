import type { CreditTotals } from '../features/credits/compare-accounts.ts';
import { formatCredits } from '../features/credits/credit-text.ts';
import { createReconcile, type Reconciliation } from '../features/credits/reconcile.ts';
import { createRetryParked } from '../features/credits/retry-parked.ts';
import { createCommandLogger } from './command-logger.ts';
import { complain, loadCommandConfiguration } from './configuration.ts';
import { openMigratedDatabase } from './open-migrated-database.ts';

export interface ReconcileOptions {
  /** One JSON object on standard output in the place of text. */
  json?: boolean;
  /** Has parked deliveries tried again before anything is counted. */
  retryParked?: boolean;
}

/** Says whether the credits add up. Resolves to the exit code: 0 where they do. */
export async function reconcileCredits({ json = false, retryParked = false }: ReconcileOptions): Promise<0 | 1> {
  const config = loadCommandConfiguration();
  if (config === null) return 1;
  const kind = config.accounting.service === null ? 'embedded' : 'http';
  try {
    await using database = await openMigratedDatabase(config.database.url, { logger: createCommandLogger(config) });
    if (retryParked) complain(`parked deliveries that will be tried again: ${await createRetryParked(database)()}`);
    const problems: string[] = [];
    const result = await createReconcile({ database, kind })((problem) => {
      // The text tells each when it is found, so that a broken database of any size can be looked through.
      if (json) problems.push(problem);
      else process.stdout.write(`problem: ${problem}\n`);
    });
    process.stdout.write(json ? `${JSON.stringify(asJson(result, kind, problems))}\n` : asText(result));
    return result.problems === 0 ? 0 : 1;
  } catch (error) {
    complain(`not reconciled: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }
}

function asText({ credits, usage, generations, outbox, problems }: Reconciliation): string {
  const lines = [];
  if (credits === null) lines.push('Credits: kept by the Accounting Service.');
  else {
    const { accounts, granted, available, held, spent, absorbed } = credits;
    const sum = [available, held, spent].map(formatCredits);
    lines.push(
      `Accounts: ${accounts}.`,
      `Credits: ${formatCredits(granted)} granted = ${sum[0]} available + ${sum[1]} held + ${sum[2]} spent; ${formatCredits(absorbed)} absorbed.`,
    );
  }
  const waited = outbox.oldestSeconds === null ? '' : `, the oldest for ${outbox.oldestSeconds} s`;
  lines.push(
    `Usage records: ${usage.held} held, ${usage.charged} charged, ${usage.released} released.`,
    `Admitted generations: ${generations}.`,
    `To be delivered to the Accounting Service: ${outbox.pending}${waited}; parked: ${outbox.parked}.`,
    problems === 0 ? 'It adds up.' : `It does not add up: ${problems} ${problems === 1 ? 'problem' : 'problems'}.`,
  );
  return `${lines.join('\n')}\n`;
}

function asJson({ credits, usage, generations, outbox }: Reconciliation, kind: string, problems: readonly string[]) {
  return {
    ok: problems.length === 0,
    accounting: kind,
    credits: credits === null ? null : creditsAsJson(credits),
    usage,
    generations,
    outbox,
    problems,
  };
}

function creditsAsJson({ accounts, granted, available, held, spent, absorbed }: CreditTotals) {
  const inCredits = (micro: bigint) => Number(formatCredits(micro));
  return {
    accounts,
    granted: inCredits(granted),
    available: inCredits(available),
    held: inCredits(held),
    spent: inCredits(spent),
    absorbed: inCredits(absorbed),
  };
}
