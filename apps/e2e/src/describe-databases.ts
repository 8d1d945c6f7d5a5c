import { describe } from 'vitest';
import { databaseKinds, isAvailable, type DatabaseKind } from '../../../packages/server/test/support/databases.ts';
import { isThroughPrism } from './prism.ts';

/**
 * Runs a suite once for each database; one that this machine does not have is skipped, and the run says so. What an answer
 * looks like is the same on both, so that one is enough where that is what is looked at; `isTried` leaves out the other.
 */
export function describeEachDatabase(
  name: string,
  suite: (kind: DatabaseKind) => void,
  isTried: (kind: DatabaseKind) => boolean = () => true,
): void {
  for (const kind of isThroughPrism ? (['sqlite'] as const) : databaseKinds.filter(isTried)) {
    describe.skipIf(!isAvailable(kind))(`${name} (${kind})`, () => {
      suite(kind);
    });
  }
}
