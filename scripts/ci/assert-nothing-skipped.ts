/** Fails when the last `npm test` left anything out; closes with the tally. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from '../run.ts';
import { gaps, outcome, readReport, reportFile, tally } from './test-report.ts';

interface Listed {
  readonly file: string;
  readonly projectName?: string;
}

if (!existsSync(reportFile)) {
  console.error('npm test left no report: it did not come as far as the tests');
  process.exit(1);
}

const vitest = join(root, 'node_modules/.bin/vitest');
const listed = JSON.parse(
  execFileSync(vitest, ['list', '--filesOnly', '--json'], { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 }),
) as Listed[];
const expected = listed.map(({ file, projectName }) => ({
  file: relative(root, file),
  project: projectName ?? 'root',
}));

const tracked = ['ls-files', '--cached', '--others', '--exclude-standard', '*.test.ts', '*.spec.ts'];
const onDisk = execFileSync('git', tracked, { cwd: root, encoding: 'utf8' }).split('\n').filter(Boolean);

const result = outcome(readReport());
const found = gaps(result, expected, onDisk);
for (const gap of found) console.error(gap);
console.log(tally(result));
if (found.length > 0 || result.failed > 0) process.exitCode = 1;
