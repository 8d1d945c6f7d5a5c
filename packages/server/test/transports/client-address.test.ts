import { expect, it } from 'vitest';
import { createClientAddress } from '../../src/transports/client-address.ts';

function addressOf(trustedProxies: number, forwarded: string | string[] | undefined, remoteAddress = '10.0.0.9') {
  return createClientAddress(trustedProxies)({
    // Node joins what comes in several headers; who calls with a list means the same.
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
    socket: { remoteAddress },
  });
}

it.each([
  ['nothing is believed without a proxy', 0, '192.0.2.1', '10.0.0.9'],
  ['the proxy has written the last one', 1, 'garbage, 192.0.2.66, 192.0.2.1', '192.0.2.1'],
  ['two proxies have written two', 2, '192.0.2.66, 192.0.2.1, 10.0.0.8', '192.0.2.1'],
  ['in several headers', 2, ['192.0.2.66', '192.0.2.1, 10.0.0.8'], '192.0.2.1'],
  ['fewer than there are proxies', 3, '192.0.2.66, 192.0.2.1', '10.0.0.9'],
  ['no header', 1, undefined, '10.0.0.9'],
  ['an empty one', 1, '', '10.0.0.9'],
  ['an empty last entry', 1, '192.0.2.1, ', '10.0.0.9'],
  ['words', 1, 'unknown', '10.0.0.9'],
  ['an obfuscated name', 1, '_hidden', '10.0.0.9'],
  ['what looks like an address', 1, '192.0.2.256', '10.0.0.9'],
  ['IPv4 with a port', 1, '192.0.2.1:4711', '192.0.2.1'],
  ['IPv6', 1, ' 2001:db8::1 ', '2001:db8::1'],
  ['IPv6 in brackets', 1, '[2001:db8::1]', '2001:db8::1'],
  ['IPv6 with a port', 1, '[2001:db8::1]:4711', '2001:db8::1'],
  ['IPv4 in IPv6 form', 1, '::ffff:192.0.2.1', '192.0.2.1'],
  ['brackets that do not close', 1, '[2001:db8::1', '10.0.0.9'],
] as const)('%s', (_, trustedProxies, forwarded, expected) => {
  expect(
    addressOf(trustedProxies, forwarded === undefined || typeof forwarded === 'string' ? forwarded : [...forwarded]),
  ).toBe(expected);
});

it('is written the same however the peer has come', () => {
  expect(addressOf(0, undefined, '::ffff:127.0.0.1')).toBe('127.0.0.1');
  expect(addressOf(0, undefined, '2001:db8::1')).toBe('2001:db8::1');
});
