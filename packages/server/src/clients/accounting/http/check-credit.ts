import type { CircuitBreaker } from '../../../platform/circuit-breaker.ts';
import type { Logger } from '../../../platform/logger.ts';
import type { Accounting, CreditDecision, Hold } from '../accounting.ts';
import { AccountingFailure, unavailable } from './accounting-failure.ts';
import type { AskService } from './ask-service.ts';
import { readCheckAnswer, type CheckAnswer } from './read-answer.ts';
import { creditsOf } from './wire-credits.ts';
import type { CheckBody } from './wire.ts';

export interface CheckCreditOptions {
  readonly askService: AskService;
  readonly breaker: CircuitBreaker;
  /** No answer counts as yes. */
  readonly failOpen: boolean;
  /** How long a hold lasts that nobody ends: longer than any generation. */
  readonly holdSeconds: number;
  readonly logger: Logger;
}

export interface CheckCredit extends Pick<Accounting, 'check' | 'checkSession'> {
  /** How many checks in a row had no answer. */
  unanswered(): number;
}

interface CheckRequest {
  readonly body: CheckBody;
  readonly idempotencyKey: string;
  readonly userToken: string | null;
  readonly onAsk?: (() => void) | undefined;
}

const path = '/api/credits/check';
/** An opened session costs nothing. */
const nothing = { inputTokens: 0, outputTokens: 0, credits: 0 };
const unbounded: Hold = { held: null, holdId: null, periods: null };

export function createCheckCredit(options: CheckCreditOptions): CheckCredit {
  const { askService, breaker, failOpen, holdSeconds, logger } = options;
  let unanswered = 0;

  /** @throws AccountingFailure where there is no answer */
  async function ask({ body, onAsk, ...headers }: CheckRequest, signal?: AbortSignal): Promise<CheckAnswer> {
    const permit = breaker.enter();
    if (permit === null) throw new AccountingFailure('it keeps failing and is not asked for a while');
    let outcome: 'succeeded' | 'failed' | 'abandoned' = 'abandoned';
    try {
      onAsk?.();
      const answer = await askService({ method: 'POST', path, body, ...headers }, readCheckAnswer, signal);
      outcome = 'succeeded';
      return answer;
    } catch (error) {
      if (error instanceof AccountingFailure && error.isServiceAtFault) outcome = 'failed';
      throw error;
    } finally {
      permit[outcome]();
    }
  }

  /** Null: there is no answer, and that counts as yes. @throws ServiceError `ACCOUNTING_UNAVAILABLE` */
  async function askOrGiveUp(request: CheckRequest, signal?: AbortSignal): Promise<CheckAnswer | null> {
    try {
      const answer = await ask(request, signal);
      unanswered = 0;
      return answer;
    } catch (error) {
      if (!(error instanceof AccountingFailure)) throw error;
      unanswered += 1;
      const { usageId, operation } = request.body;
      const fields = { usageId, operation, status: error.status, reason: error.message };
      if (!failOpen) {
        logger.warn(fields, 'The Accounting Service does not say whether there is credit: refused.');
        throw unavailable(error);
      }
      logger.warn(fields, 'The Accounting Service does not say whether there is credit: allowed, as configured.');
      return null;
    }
  }

  return {
    unanswered: () => unanswered,

    async check(request, signal): Promise<CreditDecision> {
      const { usageId, userId, plan, userToken, sessionId, modelId, estimate, onAsk } = request;
      const sent = { ...estimate, credits: creditsOf(estimate.credits) };
      const ids = { usageId, userId, plan, sessionId, modelId };
      const body: CheckBody = { ...ids, operation: 'message', estimate: sent, holdSeconds };
      const answer = await askOrGiveUp({ body, idempotencyKey: usageId, userToken, onAsk }, signal);
      if (answer === null) return { kind: 'granted', hold: unbounded };
      if (answer.kind !== 'granted') return answer;
      return { kind: 'granted', hold: { held: estimate.credits, holdId: answer.holdId, periods: null } };
    },

    async checkSession({ userId, plan, userToken, sessionId }, signal) {
      const ids = { usageId: sessionId, userId, plan, sessionId, modelId: null };
      const body: CheckBody = { ...ids, operation: 'session', estimate: nothing, holdSeconds: 0 };
      const answer = await askOrGiveUp({ body, idempotencyKey: sessionId, userToken }, signal);
      return answer === null || answer.kind === 'granted' ? { kind: 'granted' } : answer;
    },
  };
}
