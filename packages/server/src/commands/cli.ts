import { Command, InvalidArgumentError, Option } from 'commander';
import { roleSchema } from '@chat-service/shared/objects';
import { readPackageVersion } from '../features/system/version.ts';
import { parseDuration } from './duration.ts';
import type { ReconcileOptions } from './reconcile.ts';
import type { TokenOptions } from './token.ts';

/** Reads the command line and runs what it names. The commands themselves are loaded when they are asked for. */
export async function runCli(argv: readonly string[]): Promise<void> {
  ignoreClosedPipes();
  const program = new Command('chat-service')
    .description('Chat sessions with language models, streamed. Configured by environment variables, see .env.example.')
    .version(readPackageVersion())
    .showHelpAfterError();
  program
    .command('serve')
    .description('apply migrations and serve until SIGTERM or SIGINT')
    .action(async () => {
      const { serve } = await import('./serve.ts');
      await serve();
    });
  program
    .command('migrate')
    .description('apply what is missing to the database, and say what was done')
    .action(async () => {
      const { migrateDatabase } = await import('./migrate.ts');
      process.exitCode = await migrateDatabase();
    });
  program
    .command('token')
    .description('mint a development token with the configured or generated secret; prints the token alone')
    .option('--sub <user id>', 'whom the token speaks for', 'dev')
    .addOption(new Option('--role <role>', 'role').choices(roleSchema.options).default('enduser'))
    .option('--username <name>', 'user name')
    .option('--email <address>', 'e-mail address')
    .option('--plan <plan>', 'plan')
    .addOption(
      new Option('--expires-in <duration>', 'validity, such as 30m, 12h or 7d')
        .argParser(durationOption)
        .default(12 * 3600, '12h'),
    )
    .action(async (options: TokenOptions) => {
      const { printToken } = await import('./token.ts');
      process.exitCode = await printToken(options);
    });
  program
    .command('grant')
    .description('top up the credits of a user in the embedded ledger; the server may be running')
    .argument('<userId>', "the user's id, as the token's `sub` says it")
    .argument('<credits>', 'more than 0, with at most 6 decimal places')
    .action(async (userId: string, credits: string) => {
      const { grant } = await import('./grant.ts');
      process.exitCode = await grant(userId, credits);
    });
  program
    .command('reconcile')
    .description('check that credits granted, held, spent and used add up; exit code 1 where they do not')
    .option('--json', 'print one JSON object')
    .option('--retry-parked', 'first have the Accounting Service told again what it refused too often')
    .action(async (options: ReconcileOptions) => {
      const { reconcileCredits } = await import('./reconcile.ts');
      process.exitCode = await reconcileCredits(options);
    });
  await program.parseAsync(argv);
}

function durationOption(text: string): number {
  const seconds = parseDuration(text);
  if (seconds === null) throw new InvalidArgumentError('It must be a number with s, m, h or d, such as 30m or 12h.');
  return seconds;
}

/** A reader that goes away (`chat-service token | head -c1`, a closed terminal) is no reason to end a server. */
function ignoreClosedPipes() {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
}
