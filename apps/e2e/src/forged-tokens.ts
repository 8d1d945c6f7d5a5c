import { createHmac } from 'node:crypto';

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token with any header, signed with HMAC under any secret; without a secret its signature is left empty. */
export function forgeToken(header: object, claims: object, secret?: string): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  const signature = secret === undefined ? '' : createHmac('sha256', secret).update(signed).digest('base64url');
  return `${signed}.${signature}`;
}

/** The token with other claims under the signature that it has. */
export function tamperWith(token: string, claims: object): string {
  const [header, payload, signature] = token.split('.');
  const read = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString()) as object;
  return [header, encode({ ...read, ...claims }), signature].join('.');
}
