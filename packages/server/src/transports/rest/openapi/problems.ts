import { errorTable, type ErrorCode } from '@chat-service/shared/errors';
import type { RestRoute } from '../route-table.ts';

/** When each code is given, in the words of the document. */
const occasions: Readonly<Partial<Record<ErrorCode, string>>> = {
  BAD_REQUEST: 'The request cannot be read, or does not have the form that is asked for: `errors` says where.',
  UNAUTHORIZED: 'No token, or one that does not verify.',
  FORBIDDEN: 'Pages of this origin may not call, or the role of the token does not allow it.',
  NOT_FOUND: "There is no such thing, or it is somebody else's.",
  NOT_ACCEPTABLE: 'No media type of `Accept` can be sent.',
  GENERATION_IN_PROGRESS: 'The session is writing an answer: `streamId` names it.',
  CONFLICT: 'The state of things does not allow it.',
  PAYLOAD_TOO_LARGE: 'The body is larger than the service takes.',
  UNSUPPORTED_MEDIA_TYPE: 'The body is not plain `application/json`.',
  INSUFFICIENT_CREDITS: 'There is no credit for even one token.',
  QUOTA_EXCEEDED: "A quota of the caller's plan is used up: `quota` says which, `resetsAt` when it starts anew.",
  ACCOUNTING_UNAVAILABLE: 'Nobody could be asked for credit.',
  IDEMPOTENCY_KEY_REUSED: 'The key was used before, for another request.',
  RATE_LIMITED: 'Too many calls in this window, or too many answers that are being written at once.',
  INTERNAL: 'A fault of the service.',
  MODEL_ERROR: 'The model failed; `streamId` names the message with what it had written.',
  INTERRUPTED: 'A shutdown ended the answer; `streamId` names the message with what was written.',
  MODEL_UNAVAILABLE: 'The model cannot be used now.',
  AUTH_UNAVAILABLE: 'The keys that tokens are verified with cannot be had.',
  UNAVAILABLE: 'The database is away.',
  SHUTTING_DOWN: 'The service is shutting down and starts no answers.',
  MODEL_TIMEOUT: 'The model took too long; `streamId` names the message with what it had written.',
};

const paying = [
  'INSUFFICIENT_CREDITS',
  'QUOTA_EXCEEDED',
  'ACCOUNTING_UNAVAILABLE',
] as const satisfies readonly ErrorCode[];

const sending = [
  ...paying,
  'CONFLICT',
  'GENERATION_IN_PROGRESS',
  'MODEL_UNAVAILABLE',
  'SHUTTING_DOWN',
] as const satisfies readonly ErrorCode[];

/** Codes that a procedure gives by itself, beside those that follow from its declaration and its input. */
const ownCodes: Readonly<Partial<Record<string, readonly ErrorCode[]>>> = {
  // A repeat under a key whose session has been deleted since.
  'session.create': ['NOT_FOUND', ...paying],
  'account.usage': ['ACCOUNTING_UNAVAILABLE'],
  'message.send': [...sending, 'MODEL_ERROR', 'INTERRUPTED', 'MODEL_TIMEOUT'],
  'message.start': sending,
  'message.stream': sending,
  'message.stop': ['CONFLICT'],
  'message.finalize': ['GENERATION_IN_PROGRESS'],
  'message.delete': ['GENERATION_IN_PROGRESS'],
  'supervisor.stop': ['CONFLICT'],
  'supervisor.userSessions': ['NOT_FOUND'],
  'model.recommend': ['NOT_FOUND', 'MODEL_UNAVAILABLE'],
};

/** Of everything under /api: a token in the URL, and a page of an origin that may not call. */
export const everywhere = ['BAD_REQUEST', 'FORBIDDEN'] as const satisfies readonly ErrorCode[];

/** Every code that a request of this operation may be refused with. */
export function problemCodesOf(routes: readonly RestRoute[], hasBody: boolean): Set<ErrorCode> {
  const codes = new Set<ErrorCode>(everywhere);
  const add = (...more: readonly ErrorCode[]) => more.forEach((code) => codes.add(code));
  for (const { isPublic, procedure, declaration, input } of routes) {
    if (isPublic) continue;
    // Whoever has a token is looked up, so that the database is needed even where nothing else of it is.
    add('UNAUTHORIZED', 'AUTH_UNAVAILABLE', 'RATE_LIMITED', 'UNAVAILABLE', 'NOT_ACCEPTABLE', 'INTERNAL');
    if ('sessionId' in input.shape) add('NOT_FOUND');
    if (declaration.idempotencyKey !== undefined) add('IDEMPOTENCY_KEY_REUSED');
    add(...(ownCodes[procedure] ?? []));
  }
  if (hasBody) add('PAYLOAD_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE');
  return codes;
}

/** Codes by the status they are given with, in order of both. */
export function byStatus(codes: ReadonlySet<ErrorCode>): Map<number, ErrorCode[]> {
  const grouped = new Map<number, ErrorCode[]>();
  // In the table's order, so that the same set is the same component.
  for (const code of Object.keys(errorTable) as ErrorCode[]) {
    if (!codes.has(code)) continue;
    const { status } = errorTable[code];
    grouped.set(status, [...(grouped.get(status) ?? []), code]);
  }
  return grouped;
}

export function occasionOf(code: ErrorCode): string {
  return occasions[code] ?? errorTable[code].title;
}
