import type { createAccountRouter } from './features/accounts/account-router.ts';
import type { createMessageRouter } from './features/messages/message-router.ts';
import type { createModelRouter } from './features/models/model-router.ts';
import type { createSessionRouter } from './features/sessions/session-router.ts';
import type { createSupervisionRouter } from './features/supervision/supervision-router.ts';
import type { createSystemRouter } from './features/system/system-router.ts';
import { trpc } from './trpc/trpc.ts';

export interface FeatureRouters {
  readonly session: ReturnType<typeof createSessionRouter>;
  readonly message: ReturnType<typeof createMessageRouter>;
  readonly model: ReturnType<typeof createModelRouter>;
  readonly supervisor: ReturnType<typeof createSupervisionRouter>;
  readonly account: ReturnType<typeof createAccountRouter>;
  readonly system: ReturnType<typeof createSystemRouter>;
}

/** Every procedure of the service, under the names that all doors use. */
export function createAppRouter({ session, message, model, supervisor, account, system }: FeatureRouters) {
  return trpc.router({ session, message, model, supervisor, account, system });
}

export type AppRouter = ReturnType<typeof createAppRouter>;
