import { z } from 'zod';
import { errorTable } from '@chat-service/shared/errors';
import { idSchema, timeSchema } from '@chat-service/shared/objects';

/** Problem details (RFC 9457) with the service's own members, as `renderProblem` writes them. */
export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string(),
    // Open, so that a code which is new is no broken answer.
    code: z.string().meta({ examples: Object.keys(errorTable) }),
    requestId: z.string(),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
    retryAfter: z.int().min(0).optional(),
    sessionId: idSchema.optional(),
    streamId: idSchema.optional(),
    userMessageId: idSchema.optional(),
    quota: z.string().optional(),
    resetsAt: timeSchema.optional(),
  })
  .meta({ description: 'What went wrong, as problem details (RFC 9457). Programs go by `code`.' });
