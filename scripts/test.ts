/**
 * Builds, then runs every suite: `npm test`, or a part of them with vitest's own arguments, `npm test -- packages/shared`.
 * Tells what could not be run, and closes with the tally. `SOAK` (`ci`, `full`) lengthens the property tests.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { outcome, readReport, reportFile, tally } from './ci/test-report.ts';
import { run } from './run.ts';

async function test(args: readonly string[]): Promise<number> {
  mkdirSync(dirname(reportFile), { recursive: true });
  rmSync(reportFile, { force: true });
  const built = await run({ argv: ['turbo', 'run', 'build', '--output-logs=errors-only'] });
  if (built !== 0) return built;
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`];
  const code = await run({ argv: ['vitest', 'run', ...reporters, ...args] });
  if (code > 128) return code;
  const result = outcome(readReport());
  if (result.skipped.length > 0) console.log(`\nCould not run:\n  ${result.skipped.join('\n  ')}`);
  if (code !== 0 && result.failed === 0)
    console.log('\nNo test failed, but the run did: an error outside the tests, told above.');
  console.log(`\n${tally(result)}`);
  return code;
}

process.exitCode = await test(process.argv.slice(2));
