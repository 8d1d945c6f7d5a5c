import { startWorld, type World } from '../../src/world.ts';
import type { Comparison, Sample } from '../comparison.ts';
import { fillSessions, sqliteFile } from '../fill-sessions.ts';
import { cursorOf, openRawPages } from '../raw-page.ts';
import { requestRepeatedly, type Repetition } from '../request-repeatedly.ts';
import { startService } from '../service.ts';

export interface PagesSize {
  /** Sessions of the user in the service that is the floor. */
  readonly few: number;
  /** The same in the service that is measured. */
  readonly many: number;
  /** How many sessions come before the page that is far back. */
  readonly depth: number;
  readonly repetition: Repetition;
}

/** One user's sessions in a service of their own. */
interface Pages {
  /** What measures the page that so many sessions come before, asked for by its cursor where there are any. */
  after(depth: number): () => Promise<Sample>;
}

const user = 'user-0';

/** What a page costs where a user has very many sessions: the first one, and one far back. */
export async function compareSessionPages(
  world: World,
  stack: AsyncDisposableStack,
  { few, many, depth, repetition }: PagesSize,
): Promise<Comparison[]> {
  const small = stack.use(await startWorld({ kind: 'sqlite', serve: false }));
  const fewPages = await startPages(small, stack, few, repetition);
  const manyPages = await startPages(world, stack, many, repetition);
  const same = {
    against: `the first page of ${written(few)}, of the same service`,
    goal: 1.25,
    floor: fewPages.after(0),
  };
  return [
    {
      ...same,
      name: 'session-pages-first',
      unit: `the first page of a user's ${written(many)} sessions`,
      subject: manyPages.after(0),
    },
    {
      ...same,
      name: 'session-pages-deep',
      unit: `the page after ${written(depth)} of a user's ${written(many)} sessions`,
      subject: manyPages.after(depth),
    },
  ];
}

async function startPages(
  world: World,
  stack: AsyncDisposableStack,
  sessions: number,
  repetition: Repetition,
): Promise<Pages> {
  await fillSessions(world.databaseUrl, { sessions, users: 1 });
  const service = stack.use(await startService(world));
  const token = await world.token(user, { expiresIn: 3600 });
  const url = `${service.url}/api/chat/sessions`;
  return {
    after(depth) {
      using pages = openRawPages(sqliteFile(world.databaseUrl));
      const position = depth === 0 ? null : pages.positionAt(user, depth);
      const body = Buffer.from(JSON.stringify(pages.read(user, position)));
      const query = position === null ? '' : `?cursor=${cursorOf(position)}`;
      return () => requestRepeatedly(service, { url: url + query, token, body }, repetition);
    },
  };
}

function written(count: number): string {
  return count.toLocaleString('en');
}
