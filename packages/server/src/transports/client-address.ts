import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';

/** What tells where a request comes from. */
export interface ArrivedRequest {
  readonly headers: IncomingHttpHeaders;
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/**
 * Tells where requests come from. Behind trusted proxies, `trustedProxies` of them in a row, it is the address that the
 * first of these has seen: that many from the right in `X-Forwarded-For`. What is further left anyone can make up. Where
 * there is none, or what is there is no address, it is the peer's.
 */
export function createClientAddress(trustedProxies: number): (request: ArrivedRequest) => string {
  return ({ headers, socket }) => {
    const peer = plainAddress(socket.remoteAddress ?? '') ?? '';
    if (trustedProxies === 0) return peer;
    const forwarded = [headers['x-forwarded-for'] ?? []].flat().join(',').split(',');
    return plainAddress(forwarded.at(-trustedProxies) ?? '') ?? peer;
  };
}

/** An address without the brackets and the port that some proxies write, IPv4 ones as such; null for what is none. */
function plainAddress(text: string): string | null {
  const trimmed = text.trim();
  const [, bracketed, dotted] = /^(?:\[([^\]]+)\](?::\d+)?|([\d.]+):\d+)$/u.exec(trimmed) ?? [];
  const address = bracketed ?? dotted ?? trimmed;
  if (isIP(address) === 0) return null;
  return /^::ffff:([\d.]+)$/iu.exec(address)?.[1] ?? address;
}
