import { sql, type SQL } from 'drizzle-orm';
import type { Tables } from '../../db/database.ts';

/** In a select from `messages`: the stored text, or what a running generation has checkpointed of it. */
export function contentSoFar({
  messages,
  generationSegments,
}: Pick<Tables, 'messages' | 'generationSegments'>): SQL<string> {
  return sql<string>`case when ${messages.status} = 'streaming' then coalesce((
    select string_agg(${generationSegments.text}, '' order by ${generationSegments.sequence}) from ${generationSegments}
    where ${generationSegments.generationId} = ${messages.id}), '') else ${messages.content} end`;
}
