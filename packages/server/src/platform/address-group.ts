import { isIPv6 } from 'node:net';

/**
 * What counts as one client: an IPv4 address, or the /64 network of an IPv6 one, out of which a single machine may
 * choose its addresses as it likes. Text that is no address stands for itself.
 */
export function addressGroup(address: string): string {
  const [withoutZone = ''] = address.split('%', 1);
  if (!isIPv6(withoutZone)) return address;
  // A URL writes every address in one form: lower case, no leading zeros, IPv4 parts as two groups.
  const [head = [], tail = []] = new URL(`http://[${withoutZone}]`).hostname.slice(1, -1).split('::').map(groupsOf);
  const groups = [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => '0'), ...tail];
  const network = groups.slice(0, 4);
  // Nobody owns the network of zeros: loopback and IPv4 addresses in IPv6 form are in it.
  return network.every((group) => group === '0') ? groups.join(':') : `${network.join(':')}::/64`;
}

function groupsOf(text: string): string[] {
  return text === '' ? [] : text.split(':');
}
