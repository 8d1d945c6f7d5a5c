import { afterAll, beforeAll } from 'vitest';
import type { FakeAnswer, FakeFault } from '../../../../../apps/e2e/src/fake-accounting.ts';
import type { HttpAccountingOptions } from '../../../src/clients/accounting/http/http-accounting.ts';
import { openDatabase, type Database } from '../../../src/db/database.ts';
import { createTestDatabase, silentLogger, type TestDatabase } from '../../support/databases.ts';
import { createHttpWorld, type HttpWorld } from './http-world.ts';

/** Makes worlds for what only asks the service: that needs no rows, so that all of a file share one database. */
export function prepareAskingWorlds(): (changes?: Partial<HttpAccountingOptions>) => Promise<HttpWorld> {
  let home: TestDatabase;
  let database: Database;
  beforeAll(async () => {
    home = await createTestDatabase('sqlite');
    database = await openDatabase(home.url, { logger: silentLogger });
  });
  afterAll(async () => {
    await database[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });
  return (changes = {}) => createHttpWorld(database, changes);
}

/** Answers, and does nothing of what it was asked. */
export function answering(answer: FakeAnswer): FakeFault {
  return { done: false, answer };
}

export const ok = (body: unknown) => answering({ status: 200, body });

/** What the port throws where the service gave no answer. */
export const unavailable = { code: 'ACCOUNTING_UNAVAILABLE' };
