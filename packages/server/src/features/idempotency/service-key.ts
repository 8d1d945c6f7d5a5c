import { randomBytes } from 'node:crypto';
import { eq } from 'drizzle-orm';
import type { Database } from '../../db/database.ts';

/** A secret that this database's instances share: made by whichever asks first. */
export async function loadServiceKey({ query, tables }: Database, name: string, now: Date): Promise<string> {
  const { serviceKeys } = tables;
  await query
    .insert(serviceKeys)
    .values({ name, value: randomBytes(32).toString('base64url'), createdAt: now })
    .onConflictDoNothing();
  const [row] = await query.select().from(serviceKeys).where(eq(serviceKeys.name, name));
  if (row === undefined) throw new Error(`The service key ${name} is neither there nor can it be made.`);
  return row.value;
}
