import type { ObservationEvent } from '@chat-service/shared/events';
import type {
  AuditLogInput,
  AuditLogOutput,
  LiveOutput,
  ObserveInput,
  SearchUsersInput,
  SearchUsersOutput,
  StopObservedInput,
  UserSessionInput,
  UserSessionOutput,
  UserSessionsInput,
  UserSessionsOutput,
} from '@chat-service/shared/supervisor-api';
import type { StopMessageOutput } from '@chat-service/shared/message-api';
import type { TRPCClient } from '@trpc/client';
import type { AppRouter } from '../app-router.generated.ts';
import type { SubscriptionListeners } from './watch-log.ts';

interface Query<Input, Output> {
  query(input: Input, options: { signal: AbortSignal }): Promise<Output>;
}

/** Until the generated types have them. */
export type WithSupervisor = TRPCClient<AppRouter> & {
  supervisor: {
    observe: {
      subscribe(input: ObserveInput, listeners: SubscriptionListeners<ObservationEvent>): { unsubscribe(): void };
    };
    stop: { mutate(input: StopObservedInput, options: { signal: AbortSignal }): Promise<StopMessageOutput> };
    live: Query<{ reason?: string } | undefined, LiveOutput>;
    userSessions: Query<UserSessionsInput, UserSessionsOutput>;
    userSession: Query<UserSessionInput, UserSessionOutput>;
    searchUsers: Query<SearchUsersInput, SearchUsersOutput>;
    auditLog: Query<AuditLogInput | undefined, AuditLogOutput>;
  };
};
