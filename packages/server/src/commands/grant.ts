import { codePointLength, isStorableText } from '@chat-service/shared/text';
import { maxUserIdLength } from '../clients/auth/read-claims.ts';
import { formatCredits, parseCredits } from '../features/credits/credit-text.ts';
import { createGrantCredits } from '../features/credits/grant-credits.ts';
import { newUuid } from '../platform/ids.ts';
import { createCommandLogger } from './command-logger.ts';
import { complain, loadCommandConfiguration } from './configuration.ts';
import { openMigratedDatabase } from './open-migrated-database.ts';

/** Tops up an account of the embedded ledger. Resolves to the exit code. */
export async function grant(userId: string, text: string): Promise<0 | 1> {
  const config = loadCommandConfiguration();
  if (config === null) return 1;
  if (config.accounting.service !== null) {
    return refuse('ACCOUNTING_URL is set: the Accounting Service keeps the credits, grant them there');
  }
  if (userId.trim() === '' || !isStorableText(userId) || codePointLength(userId) > maxUserIdLength) {
    return refuse(`the user id must have 1 to ${maxUserIdLength} characters, and not be blank`);
  }
  const amount = parseCredits(text);
  if (amount === null) {
    return refuse(
      `${JSON.stringify(text)} is not an amount of credits: write a number such as 50 or 0.25, with at most 6 decimal places`,
    );
  }
  if (amount === 0n) return refuse('the credits must be more than 0');
  const tooMany = 'an account cannot hold so many credits';
  if (amount > Number.MAX_SAFE_INTEGER) return refuse(tooMany);

  try {
    await using database = await openMigratedDatabase(config.database.url, { logger: createCommandLogger(config) });
    const granted = await createGrantCredits({ database, newId: newUuid })(userId, Number(amount));
    if (granted === null) return refuse(tooMany);
    const user = JSON.stringify(userId);
    process.stdout.write(
      `Granted ${formatCredits(amount)} credits to the user ${user}, who has ${formatCredits(granted.available)} now.\n`,
    );
    if (!granted.isKnown) {
      process.stdout.write(`This user has not been here yet; what the plan gives comes with the first request.\n`);
    }
    return 0;
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

function refuse(reason: string): 1 {
  complain(`nothing was granted: ${reason}`);
  return 1;
}
