import type { Session } from '@chat-service/shared/objects';
import type {
  CreateSessionInput,
  CreateSessionOutput,
  DeleteSessionInput,
  GetSessionInput,
  GetSessionOutput,
  ListSessionsInput,
  UpdateSessionInput,
  UpdateSessionOutput,
} from '@chat-service/shared/session-api';
import { PagedList } from '../paged-list.ts';
import type { RequestOptions } from '../transport/call.ts';
import { at, deleted, type ResourceContext } from './resource-context.ts';

export interface Sessions {
  /** Opens a session. The idempotency key is made where none is given, so that a repeat opens no second one. */
  create(input?: CreateSessionInput, options?: RequestOptions): Promise<CreateSessionOutput>;
  /** A session with its newest messages, oldest first. */
  get(input: GetSessionInput, options?: RequestOptions): Promise<GetSessionOutput>;
  /** The caller's sessions, the most recently used first; temporary ones are unlisted. */
  list(input?: ListSessionsInput, options?: RequestOptions): PagedList<Session>;
  /** Each field given is replaced whole; null clears it. Not repeated by itself: it could undo a later change. */
  update(input: UpdateSessionInput, options?: RequestOptions): Promise<UpdateSessionOutput>;
  /** Deletes the session and everything in it; a running generation is ended first. */
  delete(input: DeleteSessionInput, options?: RequestOptions): Promise<void>;
}

export function createSessions({ trpc, call, newKey }: ResourceContext): Sessions {
  return {
    create(input = {}, options) {
      const keyed = { ...input, idempotencyKey: input.idempotencyKey ?? newKey() };
      return call((signal) => trpc.session.create.mutate(keyed, { signal }), { repeatable: true, options });
    },
    get: (input, options) => call((signal) => trpc.session.get.query(input, { signal }), { repeatable: true, options }),
    list: (input = {}, options) =>
      new PagedList(async (cursor) => {
        const { sessions, pagination } = await call(
          (signal) => trpc.session.list.query(at(input, cursor), { signal }),
          { repeatable: true, options },
        );
        return { items: sessions, pagination };
      }),
    update: (input, options) =>
      call((signal) => trpc.session.update.mutate(input, { signal }), { repeatable: false, options }),
    delete: (input, options) =>
      call(
        deleted((signal) => trpc.session.delete.mutate(input, { signal })),
        { repeatable: true, options },
      ),
  };
}
