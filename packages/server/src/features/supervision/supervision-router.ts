import type { ObservationEvent } from '@chat-service/shared/events';
import {
  auditLogInput,
  auditLogOutput,
  liveInput,
  liveOutput,
  observeInput,
  searchUsersInput,
  searchUsersOutput,
  stopObservedInput,
  stopObservedOutput,
  userSessionInput,
  userSessionOutput,
  userSessionsInput,
  userSessionsOutput,
} from '@chat-service/shared/supervisor-api';
import { createAuditedProcedures, reasonOf } from '../../trpc/audited-procedures.ts';
import { never, tracking } from '../../trpc/tracked-events.ts';
import { trpc } from '../../trpc/trpc.ts';
import type { SupervisionOperations } from './supervision-operations.ts';

export function createSupervisionRouter(operations: SupervisionOperations) {
  const { recordAudit: record, findRole, requireReason } = operations;
  const { supervised, administered, observing } = createAuditedProcedures({ record, findRole, requireReason });
  return trpc.router({
    observe: observing(observeInput)
      .meta({
        summary: 'Streams a session of any user: its history first, then everything that happens in it.',
        rest: {
          method: 'GET',
          path: '/api/chat/sessions/{sessionId}/observe',
          operationId: 'observeSession',
          tag: 'Supervision',
          // Whoever is told whether there is such a session has looked, and whoever looks is on record and announced.
          withoutHead: true,
        },
      })
      .subscription(async ({ ctx, input, signal = never }) => {
        const { userId, role, expiresAt } = ctx.principal;
        const { requestId, clientAddress, liveSink } = ctx;
        const observer = { userId, role, expiresAt };
        const request = { ...input, reason: reasonOf(input), observer, requestId, clientAddress, liveSink };
        return tracking<ObservationEvent>(await operations.observeSession(request, signal));
      }),
    live: supervised({ action: 'live.list', input: liveInput.optional() })
      .meta({
        summary: 'The sessions that are generating now, on every server, the latest first.',
        rest: {
          method: 'GET',
          path: '/api/chat/live',
          operationId: 'listLiveSessions',
          tag: 'Supervision',
          description: 'At most 1,000 of them.',
        },
      })
      .output(liveOutput)
      .query(() => operations.listLive()),
    stop: supervised({
      action: 'generation.stop',
      input: stopObservedInput,
      about: async ({ sessionId }) => ({ sessionId, subjectId: await operations.findSubject(sessionId) }),
    })
      .meta({
        summary: 'Stops the answer of any session; what was written stays.',
        rest: {
          method: 'POST',
          path: '/api/chat/sessions/{sessionId}/observe/stop',
          operationId: 'stopObservedSession',
          tag: 'Supervision',
        },
      })
      .output(stopObservedOutput)
      .mutation(({ input, signal }) => operations.stopObserved(input, signal)),
    userSessions: supervised({
      action: 'user.sessions',
      input: userSessionsInput,
      about: ({ userId }) => ({ subjectId: userId }),
    })
      .meta({
        summary: 'The sessions of any user, newest activity first.',
        rest: {
          method: 'GET',
          path: '/api/chat/users/{userId}/sessions',
          operationId: 'listUserSessions',
          tag: 'Supervision',
        },
      })
      .output(userSessionsOutput)
      .query(({ input }) => operations.listUserSessions(input)),
    userSession: supervised({
      action: 'user.session',
      input: userSessionInput,
      about: ({ userId, sessionId }) => ({ subjectId: userId, sessionId }),
    })
      .meta({
        summary: 'A session of any user with its newest messages; a cursor leads to those before.',
        rest: {
          method: 'GET',
          path: '/api/chat/users/{userId}/sessions/{sessionId}',
          operationId: 'getUserSession',
          tag: 'Supervision',
        },
      })
      .output(userSessionOutput)
      .query(({ input }) => operations.getUserSession(input)),
    searchUsers: supervised({ action: 'user.search', input: searchUsersInput })
      .meta({
        summary: 'Finds users by username, email or id, in the order of their ids.',
        rest: {
          method: 'GET',
          path: '/api/chat/users/search',
          operationId: 'searchUsers',
          tag: 'Supervision',
          description:
            'Three or more characters match any part, one or two its beginning; case does not count, and no character has a meaning of its own. `total` is exact up to 1,000: pages go as far, cursors to the end.',
        },
      })
      .output(searchUsersOutput)
      .query(({ input }) => operations.searchUsers(input)),
    auditLog: administered({
      action: 'audit.read',
      input: auditLogInput.optional(),
      about: (input) => ({ subjectId: input?.subjectId ?? null }),
    })
      .meta({
        summary: 'What supervisors did, newest first.',
        rest: {
          method: 'GET',
          path: '/api/audit',
          operationId: 'readAuditLog',
          tag: 'Supervision',
          description:
            'For administrators. This call is on record too, as the newest entry. `total` is exact up to 1,000: pages go as far, cursors to the end.',
        },
      })
      .output(auditLogOutput)
      .query(({ input }) => operations.readAuditLog(input ?? {})),
  });
}
