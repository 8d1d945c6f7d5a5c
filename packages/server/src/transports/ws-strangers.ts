import type { WsConnection } from './ws-connection.ts';

/** Connections that have shown no valid token, on the whole server. */
const maxStrangers = 1000;
/** What one address may have of them when there is no more room; a whole office or a proxy may be behind one. */
const shareOfAddress = 100;

/**
 * Makes room for one more connection, which is a stranger as all are at first; false where there is none. An address that
 * has more than its share gives up its oldest, so that a single one cannot keep everybody else out.
 */
export function makeRoom(connections: Set<WsConnection>): boolean {
  const strangers = [...connections].filter((connection) => !connection.isAuthenticated);
  if (strangers.length < maxStrangers) return true;
  const byAddress = Map.groupBy(strangers, ({ client }) => client);
  const [largest = []] = [...byAddress.values()].toSorted((a, b) => b.length - a.length);
  const [oldest] = largest;
  if (oldest === undefined || largest.length <= shareOfAddress) return false;
  connections.delete(oldest);
  oldest.makeWay();
  return true;
}
