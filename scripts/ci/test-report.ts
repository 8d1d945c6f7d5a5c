import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from '../run.ts';

/** Where `npm test` leaves what vitest's json reporter says. */
export const reportFile = join(root, 'node_modules/.cache/test-report.json');

/** The part of vitest's json report that is read here. */
export interface TestReport {
  readonly success: boolean;
  readonly testResults: readonly {
    /** Absolute path; a file that several projects run is there once for each. */
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

export interface Outcome {
  readonly passed: number;
  /** Tests that failed, and files that could not be run at all. */
  readonly failed: number;
  /** What was neither passed nor failed: skipped, todo, pending. */
  readonly skipped: readonly string[];
  /** How often each file, relative to `base`, was run with at least one test that passed or failed. */
  readonly executed: ReadonlyMap<string, number>;
}

export function readReport(file = reportFile): TestReport {
  return JSON.parse(readFileSync(file, 'utf8')) as TestReport;
}

export function outcome({ testResults }: TestReport, base = root): Outcome {
  let passed = 0;
  let failed = 0;
  const skipped: string[] = [];
  const executed = new Map<string, number>();
  for (const { name, status, assertionResults } of testResults) {
    const file = relative(base, name);
    const ran = assertionResults.filter((test) => test.status === 'passed' || test.status === 'failed');
    const broken = ran.filter((test) => test.status === 'failed').length;
    passed += ran.length - broken;
    failed += broken === 0 && status === 'failed' ? 1 : broken;
    if (ran.length > 0) executed.set(file, (executed.get(file) ?? 0) + 1);
    for (const test of assertionResults)
      if (!ran.includes(test)) skipped.push(`${file}: ${test.fullName} (${test.status})`);
  }
  return { passed, failed, skipped, executed };
}

/** The line that a run closes with. */
export function tally({ passed, failed, skipped }: Outcome): string {
  return `${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`;
}

/**
 * What keeps a run from having tested everything, in words; empty when nothing does.
 * @param expected file and project of each suite, relative to `base` of the outcome
 * @param onDisk every file that looks like a suite
 */
export function gaps(
  result: Outcome,
  expected: readonly { readonly file: string; readonly project: string }[],
  onDisk: readonly string[],
): string[] {
  const found = result.skipped.map((test) => `not run: ${test}`);
  if (result.passed + result.failed === 0) found.push('no test was run');
  const projects = new Map<string, string[]>();
  for (const { file, project } of expected) projects.set(file, [...(projects.get(file) ?? []), project]);
  for (const [file, names] of projects) {
    const times = result.executed.get(file) ?? 0;
    if (times < names.length) found.push(`${file} was run ${times} times, for the projects ${names.join(', ')}`);
  }
  for (const file of onDisk) if (!projects.has(file)) found.push(`${file} belongs to no project`);
  return found;
}
