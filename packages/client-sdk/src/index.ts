export { createChatClient, type ChatClient, type ChatClientOptions } from './chat-client.ts';
export * from './errors.ts';
export { toChatError } from './read-error.ts';
export {
  initialGenerationState,
  reduceGeneration,
  type GenerationState,
  type MessageSnapshot,
  type StreamEvent,
  type TrackedEvent,
} from './generation-state.ts';
export { type MessageStream, type MessageStreamEvents, type TextChange } from './message-stream.ts';
export {
  initialObservationState,
  reduceObservation,
  type ObservationEnd,
  type ObservationState,
  type ObservationStreamEvent,
  type TrackedObservationEvent,
} from './observation-state.ts';
export { type Observation } from './observation.ts';
export { type Page, type PagedList } from './paged-list.ts';
export { type Account } from './resources/account.ts';
export { type FollowInput, type Messages, type StreamOptions } from './resources/messages.ts';
export { type Models } from './resources/models.ts';
export { type Sessions } from './resources/sessions.ts';
export { type ObserveOptions, type Supervisor } from './resources/supervisor.ts';
export { type System } from './resources/system.ts';
export { type RequestOptions } from './transport/call.ts';
export { type RetryDelay } from './transport/back-off.ts';
export { type TokenProvider } from './transport/token-source.ts';
export type { AppRouter } from './app-router.generated.ts';
export type { Quota, UsageOutput } from '@chat-service/shared/account-api';
export type { ErrorCode, FieldError } from '@chat-service/shared/errors';
export type {
  ChunkEvent,
  DoneEvent,
  ErrorEvent,
  GenerationEvent,
  ObservationEvent,
  ObserverEvent,
  ResyncEvent,
  StartEvent,
} from '@chat-service/shared/events';
export type { Message, Metadata, Model, Parameters, Session, Usage } from '@chat-service/shared/objects';
export type { Pagination } from '@chat-service/shared/paging';
export type { AuditEntry, LiveSession, User } from '@chat-service/shared/supervisor-api';
