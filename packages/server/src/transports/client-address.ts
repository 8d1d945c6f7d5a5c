import type { IncomingMessage } from 'node:http';

/**
 * Tells where requests come from. Behind a trusted proxy it is the last address of `X-Forwarded-For`: the one that the
 * proxy itself has written; those before it anyone can make up.
 */
export function createClientAddress(trustProxy: boolean): (request: IncomingMessage) => string {
  return ({ headers, socket }) => {
    const peer = socket.remoteAddress ?? '';
    if (!trustProxy) return peer;
    const forwarded = [headers['x-forwarded-for'] ?? []].flat().join(',').split(',').at(-1)?.trim();
    return forwarded === undefined || forwarded === '' ? peer : forwarded;
  };
}
