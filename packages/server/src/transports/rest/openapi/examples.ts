import { errorTable, type ErrorCode } from '@chat-service/shared/errors';
import type { ObservationEvent, ObservedEvent } from '@chat-service/shared/events';
import type { Message, Model, Session, Usage } from '@chat-service/shared/objects';
import type { Pagination } from '@chat-service/shared/paging';
import type { AuditEntry, User } from '@chat-service/shared/supervisor-api';
import { retryAfterOf } from '../../../trpc/error-mapping.ts';
import { ServiceError } from '../../../platform/service-error.ts';

const sessionId = '019a9d1c-6f00-7a31-8d52-3f6f0c9a1b01';
const userMessageId = '019a9d1c-8a10-7c44-9b1e-5a2d7e4f6c02';
const streamId = '019a9d1c-8a11-7d55-a0c3-6b3e8f507d03';
const at = (time: string) => `2026-11-20T10:${time}Z`;

const usage: Usage = {
  inputTokens: 12,
  outputTokens: 9,
  totalTokens: 21,
  cachedInputTokens: 0,
  reasoningTokens: 0,
  credits: 0.03,
  estimated: false,
};

const userMessage: Message = {
  id: userMessageId,
  sessionId,
  role: 'user',
  content: 'What is the capital of Norway?',
  status: 'complete',
  modelId: null,
  fallbackFrom: null,
  stoppedBy: null,
  usage: null,
  finishReason: null,
  error: null,
  createdAt: at('15:07.216'),
  updatedAt: at('15:07.216'),
};

const answer: Message = {
  ...userMessage,
  id: streamId,
  role: 'assistant',
  content: 'Oslo is the capital of Norway.',
  modelId: 'gpt-5-mini',
  usage,
  finishReason: 'stop',
  updatedAt: at('15:08.904'),
};

const stopped: Message = {
  ...answer,
  content: 'Oslo is',
  status: 'stopped',
  stoppedBy: 'user',
  finishReason: 'stopped',
};
const failed: Message = {
  ...answer,
  content: 'Oslo is',
  status: 'failed',
  finishReason: null,
  error: { code: 'MODEL_ERROR' },
};

const session: Session = {
  id: sessionId,
  userId: 'user-1',
  title: 'Capitals of Europe',
  modelId: 'gpt-5-mini',
  source: 'api',
  systemPrompt: 'Answer in one sentence.',
  parameters: { temperature: 0.2 },
  metadata: { course: 'geography' },
  status: 'idle',
  activeStreamId: null,
  messageCount: 2,
  lastMessageAt: at('15:07.216'),
  temporary: false,
  observers: null,
  createdAt: at('15:00.000'),
  updatedAt: at('15:08.904'),
};
const fresh: Session = { ...session, messageCount: 0, lastMessageAt: null, updatedAt: session.createdAt };

const page = (total: number): Pagination => ({
  page: 1,
  limit: 20,
  total,
  totalPages: 1,
  hasMore: false,
  nextCursor: null,
});

const model: Model = {
  id: 'gpt-5-mini',
  name: 'GPT-5 mini',
  provider: 'openai',
  description: 'Fast and inexpensive, for everyday questions.',
  capabilities: ['general', 'code', 'tools'],
  creditCost: { input: 0.25, output: 2 },
  maxTokens: 16_384,
  contextWindow: 400_000,
  ratings: { speed: 4, quality: 4 },
  available: true,
  unavailableReason: null,
};

const user: User = {
  id: 'user-1',
  username: 'ada',
  email: 'ada@example.com',
  role: 'enduser',
  plan: 'free',
  sessionCount: 1,
  lastSeenAt: at('15:07.216'),
  createdAt: at('15:00.000'),
};

const running: Session = { ...session, status: 'streaming', activeStreamId: streamId };

const entry: AuditEntry = {
  id: '019a9d1d-1f00-7c61-b2d3-8e5f9a0b1c05',
  at: at('15:09.000'),
  actorId: 'supervisor-1',
  actorRole: 'supervisor',
  action: 'user.session',
  subjectId: user.id,
  sessionId,
  connectionId: null,
  clientAddress: '192.0.2.7',
  requestId: '019a9d1d-0c22-7b10-9f4a-2c7d1e8b5a04',
  reason: 'Ticket 4711',
};

const send = { message: userMessage.content, parameters: { maxTokens: 200 } };
const sent = { userMessage, message: answer, usage };

/** Bodies that can be sent, by operation. */
export const bodyExamples: Readonly<Partial<Record<string, Readonly<Record<string, unknown>>>>> = {
  createSession: {
    title: 'Capitals of Europe',
    systemPrompt: 'Answer in one sentence.',
    parameters: { temperature: 0.2 },
    metadata: { course: 'geography' },
  },
  updateSession: { title: 'Capitals of the north', parameters: null },
  sendMessage: send,
  streamMessage: send,
  stopMessage: { streamId },
  stopObservedSession: { reason: entry.reason },
  finalizeMessage: { streamId, completeResponse: answer.content, tokensUsed: 9 },
  recommendModel: { task: 'code', priority: 'cost', requirements: { minContextWindow: 32_000 } },
};

/** Answers of success that are JSON, by operation. */
export const answerExamples: Readonly<Partial<Record<string, unknown>>> = {
  createSession: { sessionId, session: fresh },
  getSession: { session, messages: [userMessage, answer], pagination: { ...page(2), page: null, limit: 100 } },
  listSessions: { sessions: [session], pagination: page(1) },
  updateSession: { session: { ...session, title: 'Capitals of the north', parameters: {} } },
  sendMessage: sent,
  startMessage: { streamId, userMessage },
  stopMessage: { message: stopped },
  finalizeMessage: { message: answer, usage, matches: true },
  listMessages: { messages: [userMessage, answer], pagination: page(2) },
  listLiveSessions: {
    sessions: [
      { session: running, user, modelId: model.id, startedAt: at('15:07.216'), outputTokens: 2, observers: 1 },
    ],
  },
  stopObservedSession: { message: { ...stopped, stoppedBy: 'supervisor' } },
  listUserSessions: { user, sessions: [session], pagination: page(1) },
  getUserSession: {
    user,
    session,
    messages: [userMessage, answer],
    pagination: { ...page(2), page: null, limit: 100 },
  },
  searchUsers: { users: [user], pagination: page(1) },
  readAuditLog: { entries: [entry], pagination: page(1) },
  listModels: { models: [model], default: model.id },
  recommendModel: {
    recommended: model,
    reason: 'The cheapest of the models that write code.',
    estimatedCredits: null,
    alternatives: [],
  },
  getHealth: {
    status: 'ok',
    version: '0.1.0',
    timestamp: at('16:00.000'),
    checks: { database: { status: 'ok' }, models: { status: 'ok' } },
  },
  getLiveness: { status: 'ok', version: '0.1.0', timestamp: at('16:00.000'), checks: {} },
  getReadiness: { status: 'ok', version: '0.1.0', timestamp: at('16:00.000'), checks: { database: { status: 'ok' } } },
  getUsage: {
    credits: 741.25,
    held: 0.4,
    plan: 'free',
    quotas: [{ name: 'messages', period: 'day', used: 12, limit: 200, resetsAt: '2026-11-23T00:00:00.000Z' }],
    rateLimit: { limit: 100, remaining: 97, resetsAt: at('16:30.000') },
  },
  getVersion: { version: '0.1.0', commit: null, apiVersion: 1 },
};

/** What the data of an event looks like, by its type. */
export const eventExamples: {
  readonly [Type in (ObservationEvent | ObservedEvent)['type']]: Extract<
    ObservationEvent | ObservedEvent,
    { type: Type }
  >;
} = {
  start: { type: 'start', streamId, sessionId, userMessage, title: session.title, modelId: model.id },
  chunk: { type: 'chunk', streamId, text: 'Oslo is' },
  done: { type: 'done', streamId, message: answer, usage, finishReason: 'stop' },
  error: {
    type: 'error',
    streamId,
    error: { code: 'MODEL_ERROR', message: errorTable.MODEL_ERROR.title, retryable: true },
    message: failed,
  },
  resync: { type: 'resync', streamId, message: { ...answer, status: 'streaming', usage: null, finishReason: null } },
  'history-start': { type: 'history-start', count: 2, total: 2 },
  message: { type: 'message', message: userMessage },
  'history-end': { type: 'history-end' },
  'message-deleted': { type: 'message-deleted', messageId: userMessageId },
  'session-updated': { type: 'session-updated', session },
  'session-deleted': { type: 'session-deleted', sessionId },
  observed: { type: 'observed', observers: 1 },
  observer: { type: 'observer', status: 'connected', session, user, observers: 1 },
};

const furtherMembers: Readonly<Partial<Record<ErrorCode, Readonly<Record<string, unknown>>>>> = {
  BAD_REQUEST: { errors: [{ path: 'parameters.temperature', message: 'Too big: expected number to be <=2' }] },
  GENERATION_IN_PROGRESS: { sessionId, streamId },
  QUOTA_EXCEEDED: { quota: 'messages', resetsAt: '2026-11-23T00:00:00.000Z' },
  MODEL_ERROR: { sessionId, streamId, userMessageId },
  INTERRUPTED: { sessionId, streamId, userMessageId },
  MODEL_TIMEOUT: { sessionId, streamId, userMessageId },
};

export function problemExample(code: ErrorCode): Readonly<Record<string, unknown>> {
  const { status, title } = errorTable[code];
  const retryAfter = retryAfterOf(new ServiceError(code));
  return {
    type: `urn:chat-service:error:${code}`,
    title,
    status,
    detail: title,
    code,
    requestId: '019a9d1d-0c22-7b10-9f4a-2c7d1e8b5a04',
    ...(retryAfter !== undefined && { retryAfter }),
    ...furtherMembers[code],
  };
}
