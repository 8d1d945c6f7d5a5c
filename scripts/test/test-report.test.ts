import { describe, expect, it } from 'vitest';
import { gaps, outcome, tally, type TestReport } from '../ci/test-report.ts';

type Suite = TestReport['testResults'][number];

function suite(file: string, ...statuses: readonly string[]): Suite {
  const assertionResults = statuses.map((status, index) => ({ fullName: `case ${index}`, status }));
  return {
    name: `/base/${file}`,
    status: statuses.includes('failed') ? 'failed' : 'passed',
    message: '',
    assertionResults,
  };
}

function read(...testResults: readonly Suite[]) {
  return outcome({ success: true, testResults }, '/base');
}

const whole = [{ file: 'a.test.ts', project: 'unit' }];

describe('what a run left out', () => {
  it('is nothing when every suite ran', () => {
    expect(gaps(read(suite('a.test.ts', 'passed', 'failed')), whole, ['a.test.ts'])).toEqual([]);
  });

  it.each(['skipped', 'todo', 'pending'])('is a test that is %s', (status) => {
    const result = read(suite('a.test.ts', 'passed', status));
    expect(gaps(result, whole, ['a.test.ts'])).toEqual([`not run: a.test.ts: case 1 (${status})`]);
  });

  it('is everything when no test ran', () => {
    expect(gaps(read(), [], [])).toEqual(['no test was run']);
  });

  it('is a suite that was expected and did not run', () => {
    const result = read(suite('b.test.ts', 'passed'));
    expect(gaps(result, whole, ['a.test.ts'])).toEqual(['a.test.ts was run 0 times, for the projects unit']);
  });

  it('is a suite that ran in one of its two projects only', () => {
    const both = ['sqlite', 'postgres'].map((project) => ({ file: 'a.test.ts', project }));
    const once = read(suite('a.test.ts', 'passed'), suite('a.test.ts'));
    expect(gaps(once, both, ['a.test.ts'])).toEqual(['a.test.ts was run 1 times, for the projects sqlite, postgres']);
    expect(gaps(read(suite('a.test.ts', 'passed'), suite('a.test.ts', 'passed')), both, ['a.test.ts'])).toEqual([]);
  });

  it('is a suite on disk that no project takes', () => {
    expect(gaps(read(suite('a.test.ts', 'passed')), whole, ['a.test.ts', 'b.spec.ts'])).toEqual([
      'b.spec.ts belongs to no project',
    ]);
  });
});

describe('the tally', () => {
  it('counts tests, and a file that could not be loaded as a failure', () => {
    const unloaded: Suite = {
      name: '/base/b.test.ts',
      status: 'failed',
      message: 'no such module',
      assertionResults: [],
    };
    expect(tally(read(suite('a.test.ts', 'passed', 'passed', 'failed'), unloaded))).toBe('2 passed, 2 failed');
  });

  it('mentions what was skipped', () => {
    expect(tally(read(suite('a.test.ts', 'passed', 'skipped')))).toBe('1 passed, 0 failed, 1 skipped');
  });
});
