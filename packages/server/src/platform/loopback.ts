import { BlockList, isIP } from 'node:net';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether a host name or address can be reached from this machine alone. IPv6 with or without brackets. */
export function isLoopbackHost(host: string): boolean {
  const plain = host.replace(/^\[(.*)\]$/u, '$1').toLowerCase();
  const version = isIP(plain);
  if (version === 0) return plain === 'localhost' || plain.endsWith('.localhost');
  return loopback.check(plain, version === 6 ? 'ipv6' : 'ipv4');
}
