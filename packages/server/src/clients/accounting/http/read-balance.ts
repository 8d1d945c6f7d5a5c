import type { CircuitBreaker } from '../../../platform/circuit-breaker.ts';
import type { Accounting } from '../accounting.ts';
import { AccountingFailure, unavailable } from './accounting-failure.ts';
import type { AskService } from './ask-service.ts';
import { readBalanceAnswer } from './read-answer.ts';

export interface ReadBalanceOptions {
  readonly askService: AskService;
  /** That of checks: while it is open nobody waits here either. What fails here does not open it. */
  readonly breaker: CircuitBreaker;
}

/** As a segment of a path these mean another path, however they are written. */
const unaddressable: readonly string[] = ['', '.', '..'];

export function createReadBalance({ askService, breaker }: ReadBalanceOptions): Accounting['balance'] {
  return async function readBalance({ userId }, signal) {
    if (unaddressable.includes(userId)) return null;
    try {
      if (breaker.isOpen()) throw new AccountingFailure('it keeps failing and is not asked for a while');
      const path = `/api/credits/${encodeURIComponent(userId)}`;
      return await askService({ method: 'GET', path }, readBalanceAnswer, signal);
    } catch (error) {
      throw error instanceof AccountingFailure ? unavailable(error) : error;
    }
  };
}
