import type { ErrorCode, ErrorFacts } from '@chat-service/shared/errors';
import type { Parameters } from '@chat-service/shared/objects';

/** A live generation is `reserving` or `running`; every other status is final, `refused` meaning forgotten. */
export type GenerationStatus = 'reserving' | 'running' | 'complete' | 'stopped' | 'failed' | 'interrupted' | 'refused';

/** Who asked the owner of a generation to end it early. */
export type StopRequester = 'user' | 'supervisor' | 'deletion' | 'shutdown';

/** What an idempotency key was used for. */
export type IdempotentOperation = 'send' | 'session.create';

/** What a generation was admitted with. */
export interface GenerationRequest {
  parameters: Parameters;
  /** Upper bound of the answer in tokens. */
  maxTokens: number;
}

/** Credits per 1,000 tokens by model id: the model asked for and every model that may answer in its place. */
export type GenerationPrices = Record<string, { input: number; output: number }>;

/** Why a generation was refused, as every copy of the request is told. */
export interface GenerationRefusal {
  code: ErrorCode;
  detail?: string;
  /** Seconds. */
  retryAfter?: number;
  facts?: ErrorFacts;
}

/** `held` while its generation is claimed or runs; the other two are final. */
export type UsageState = 'held' | 'charged' | 'released';

export type UsageOutcome = 'complete' | 'stopped' | 'failed' | 'interrupted';

export type LedgerEntryKind = 'grant' | 'top-up' | 'charge';

/** `parked`: refused so often that somebody has to look at it. */
export type OutboxState = 'pending' | 'parked';

/** What the Accounting Service is sent, in credits. */
export type OutboxBody =
  | {
      kind: 'record';
      usageId: string;
      holdId?: string;
      userId: string;
      sessionId: string;
      messageId: string;
      modelId: string;
      inputTokens: number;
      outputTokens: number;
      credits: number;
      outcome: UsageOutcome;
      /** ISO 8601. */
      occurredAt: string;
    }
  | { kind: 'release'; usageId: string; holdId?: string; userId: string };

/** What a supervisor did. */
export type AuditAction =
  | 'observe.attach'
  | 'observe.detach'
  | 'generation.stop'
  | 'live.list'
  | 'user.search'
  | 'user.sessions'
  | 'user.session'
  | 'audit.read';
