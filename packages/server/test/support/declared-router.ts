import { createAppRouter } from '../../src/app-router.ts';
import { createAccountRouter } from '../../src/features/accounts/account-router.ts';
import { createMessageRouter } from '../../src/features/messages/message-router.ts';
import { createModelRouter } from '../../src/features/models/model-router.ts';
import { createSessionRouter } from '../../src/features/sessions/session-router.ts';
import { createSupervisionRouter } from '../../src/features/supervision/supervision-router.ts';
import { createSystemRouter } from '../../src/features/system/system-router.ts';

/** The service's router by its declarations alone: nothing of it can be called. */
export const declaredRouter = createAppRouter({
  session: createSessionRouter({} as Parameters<typeof createSessionRouter>[0]),
  message: createMessageRouter({} as Parameters<typeof createMessageRouter>[0]),
  model: createModelRouter({} as Parameters<typeof createModelRouter>[0]),
  supervisor: createSupervisionRouter({} as Parameters<typeof createSupervisionRouter>[0]),
  account: createAccountRouter({} as Parameters<typeof createAccountRouter>[0]),
  system: createSystemRouter({} as Parameters<typeof createSystemRouter>[0]),
});
