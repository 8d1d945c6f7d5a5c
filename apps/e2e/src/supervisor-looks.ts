import type { AppRouter } from '@chat-service/server/app-router';
import type { inferRouterInputs } from '@trpc/server';

export type Input = Readonly<Record<string, unknown>>;
type SupervisorProcedure = keyof inferRouterInputs<AppRouter>['supervisor'];

/** A procedure of supervisors. */
interface Look {
  readonly type: 'query' | 'mutation' | 'subscription';
  readonly input: (userId: string, sessionId: string) => Input;
  /** What is then on record, */
  readonly action: string;
  /** of whom and what. */
  readonly about: (userId: string, sessionId: string) => LookedAt;
}

interface LookedAt {
  readonly subjectId: string | null;
  readonly sessionId: string | null;
}

const aboutNobody = (): LookedAt => ({ subjectId: null, sessionId: null });
const aboutUser = (subjectId: string): LookedAt => ({ subjectId, sessionId: null });
const aboutSession = (subjectId: string, sessionId: string): LookedAt => ({ subjectId, sessionId });

/** Every procedure of supervisors, without exception: what is asked for of whom, and what is then on record. */
const looks: Readonly<Record<`supervisor.${SupervisorProcedure}`, Look>> = {
  'supervisor.observe': {
    type: 'subscription',
    input: (_, sessionId) => ({ sessionId }),
    action: 'observe.attach',
    about: aboutSession,
  },
  'supervisor.live': { type: 'query', input: () => ({}), action: 'live.list', about: aboutNobody },
  'supervisor.stop': {
    type: 'mutation',
    input: (_, sessionId) => ({ sessionId }),
    action: 'generation.stop',
    about: aboutSession,
  },
  'supervisor.userSessions': {
    type: 'query',
    input: (userId) => ({ userId }),
    action: 'user.sessions',
    about: aboutUser,
  },
  'supervisor.userSession': {
    type: 'query',
    input: (userId, sessionId) => ({ userId, sessionId }),
    action: 'user.session',
    about: aboutSession,
  },
  'supervisor.searchUsers': {
    type: 'query',
    input: (userId) => ({ query: userId }),
    action: 'user.search',
    about: aboutNobody,
  },
  'supervisor.auditLog': {
    type: 'query',
    input: (userId) => ({ subjectId: userId }),
    action: 'audit.read',
    about: aboutUser,
  },
};
export const paths = Object.keys(looks);

export function lookOf(path: string): Look {
  const look = (looks as Readonly<Record<string, Look>>)[path];
  if (look === undefined) throw new Error(`there is no ${path}`);
  return look;
}
