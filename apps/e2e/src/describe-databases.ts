import { describe } from 'vitest';
import { databaseKinds, isAvailable, type DatabaseKind } from '../../../packages/server/test/support/databases.ts';

/** Runs a suite once for each database; one that this machine does not have is skipped, and the run says so. */
export function describeEachDatabase(name: string, suite: (kind: DatabaseKind) => void): void {
  for (const kind of databaseKinds) {
    describe.skipIf(!isAvailable(kind))(`${name} (${kind})`, () => {
      suite(kind);
    });
  }
}
