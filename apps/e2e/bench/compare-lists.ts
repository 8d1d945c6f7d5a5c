import type { ListSessionsOutput } from '@chat-service/shared/session-api';
import type { World } from '../src/world.ts';
import type { Comparison } from './comparison.ts';
import { fillSessions, sqliteFile, type Filling } from './fill-sessions.ts';
import { startMeasured } from './measured-process.ts';
import { openRawPages } from './raw-page.ts';
import { requestRepeatedly, type Repetition } from './request-repeatedly.ts';
import { startService } from './service.ts';

export interface ListSize {
  readonly filling: Filling;
  readonly repetition: Repetition;
}

export interface ListComparison extends Pick<Comparison, 'name' | 'against' | 'goal'> {
  /** Takes the SQLite file and a user as arguments, tells its port. */
  readonly floor: URL;
  /** Of the request, on both sides. */
  readonly path: string;
  /** The answer around a page. */
  wrap(page: ListSessionsOutput): unknown;
}

const user = 'user-0';

/** Holds the service against a floor that reads the same file and answers the same bytes. */
export async function compareLists(
  world: World,
  stack: AsyncDisposableStack,
  { filling, repetition }: ListSize,
  { name, against, goal, floor: program, path, wrap }: ListComparison,
): Promise<Comparison> {
  await fillSessions(world.databaseUrl, filling);
  const file = sqliteFile(world.databaseUrl);
  const service = stack.use(await startService(world));
  const floor = stack.use(startMeasured(program, { args: [file, user] }));
  const floorUrl = `http://127.0.0.1:${await floor.hear<number>('port')}`;
  using pages = openRawPages(file);
  const asked = {
    token: await world.token(user, { expiresIn: 3600 }),
    body: Buffer.from(JSON.stringify(wrap(pages.read(user)))),
  };
  return {
    name,
    unit: `a list of 20 of ${filling.sessions.toLocaleString('en')} sessions`,
    against,
    goal,
    floor: () => requestRepeatedly(floor, { ...asked, url: floorUrl + path }, repetition),
    subject: () => requestRepeatedly(service, { ...asked, url: service.url + path }, repetition),
  };
}
