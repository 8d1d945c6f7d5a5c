import type { UsageOutcome } from '../../db/column-types.ts';
import type { Queryable } from '../../db/database.ts';

/** Amounts are millionths of a credit throughout; what is sent and shown is converted at the edge. */
export type Micro = number;

export const microPerCredit: Micro = 1_000_000;

/** Whose credit it is, as the token says. */
export interface AccountHolder {
  readonly userId: string;
  readonly plan: string;
  /** The user's own JWT, which goes along with checks and is never stored; null where there is none. */
  readonly userToken: string | null;
}

export interface CreditCheck extends AccountHolder {
  /** The generation's id: the same one gives the same hold. */
  readonly usageId: string;
  readonly sessionId: string;
  readonly modelId: string;
  /** The worst case. */
  readonly estimate: { readonly inputTokens: number; readonly outputTokens: number; readonly credits: Micro };
  /** Called before anybody is asked: where it is not, nothing can be held. */
  readonly onAsk?: (() => void) | undefined;
}

/** What is reserved for a generation. */
export interface Hold {
  /** Null: nothing is held, and what is used is charged without a bound. */
  readonly held: Micro | null;
  /** The Accounting Service's name for it. */
  readonly holdId: string | null;
  /** The periods that its quotas are counted in; null where no quotas are counted here. */
  readonly periods: { readonly day: string; readonly month: string } | null;
}

/** `sessions`, `messages`, `tokens` or `compute`; an Accounting Service may have others. */
export type QuotaName = string;

export type CreditDecision =
  | { readonly kind: 'granted'; readonly hold: Hold }
  /** `remaining` where it is known: what a lower estimate may still get. */
  | { readonly kind: 'insufficient'; readonly remaining: Micro | null }
  | {
      readonly kind: 'quota';
      readonly quota: QuotaName;
      readonly resetsAt: Date;
      /** Of the quota `tokens`: what a lower estimate may still get. */
      readonly remainingTokens?: number;
    };

export interface SessionCheck extends AccountHolder {
  readonly sessionId: string;
}

export type SessionDecision = Exclude<CreditDecision, { kind: 'granted' }> | { readonly kind: 'granted' };

/** How a generation that was admitted came out. */
export interface Charge {
  readonly usageId: string;
  readonly userId: string;
  readonly sessionId: string;
  readonly modelId: string;
  readonly hold: Hold;
  /** What the quota `tokens` was counted with. */
  readonly quotaTokens: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** What is charged: never more than what is held. */
  readonly credits: Micro;
  /** What it cost beyond that. */
  readonly absorbed: Micro;
  readonly outcome: UsageOutcome;
  readonly computeMilliseconds: number;
  readonly occurredAt: Date;
}

/** A generation that is charged nothing. */
export interface Release {
  readonly usageId: string;
  readonly userId: string;
  readonly hold: Hold;
  readonly quotaTokens: number;
}

export interface QuotaState {
  readonly name: QuotaName;
  readonly period: 'day' | 'month';
  readonly used: number;
  readonly limit: number;
  readonly resetsAt: Date;
}

export interface Balance {
  /** What can be spent now; null where no credits are counted. */
  readonly credits: Micro | null;
  readonly held: Micro;
  readonly plan: string;
  readonly quotas: readonly QuotaState[];
}

/**
 * Who keeps the credits: the ledger embedded in the service's own database, or an Accounting Service over HTTP. Asking
 * (`check…`, `balance`) stands alone and may take its time; what is decided (`settle`, `release`, `countSession`) is
 * written in the caller's transaction, for which the account's row is locked first.
 */
export interface Accounting {
  readonly kind: 'embedded' | 'http';
  /**
   * Asks for credit before a model is called, and holds it.
   * @throws ServiceError `ACCOUNTING_UNAVAILABLE` where there is no answer: then a hold may exist all the same, unless
   * nobody was asked
   */
  check(request: CreditCheck, signal?: AbortSignal): Promise<CreditDecision>;
  /** Asks whether a session may be opened; holds nothing. @throws ServiceError `ACCOUNTING_UNAVAILABLE` */
  checkSession(request: SessionCheck, signal?: AbortSignal): Promise<SessionDecision>;
  /** Counts a session in the transaction that makes it. */
  countSession(tx: Queryable, request: SessionCheck): Promise<SessionDecision>;
  /** Charges what was held for, in the transaction that ends the generation. */
  settle(tx: Queryable, charge: Charge): Promise<void>;
  /** Gives back what was held, in the transaction that ends or refuses the generation. Harmless where nothing is held. */
  release(tx: Queryable, release: Release): Promise<void>;
  /** Null for a user that the Accounting Service does not know. @throws ServiceError `ACCOUNTING_UNAVAILABLE` */
  balance(holder: AccountHolder, signal?: AbortSignal): Promise<Balance | null>;
}

/** What becomes of a hold. */
export type Settling = Pick<Accounting, 'settle' | 'release'>;
