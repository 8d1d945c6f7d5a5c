import type { Micro } from '../../clients/accounting/accounting.ts';

const places = 6;

/** Reads credits as a person writes them (`50`, `0.25`) without a detour over floating point; null for anything else. */
export function parseCredits(text: string): bigint | null {
  const [, whole = '', fraction = ''] = /^(\d{1,15})(?:\.(\d{1,6}))?$/u.exec(text) ?? [];
  return whole === '' ? null : BigInt(whole + fraction.padEnd(places, '0'));
}

/** Millionths as people read them, exactly: `0.25`, `-3`. */
export function formatCredits(micro: Micro | bigint): string {
  const amount = BigInt(micro);
  const digits = String(amount < 0n ? -amount : amount).padStart(places + 1, '0');
  const fraction = digits.slice(-places).replace(/0+$/u, '');
  return `${amount < 0n ? '-' : ''}${digits.slice(0, -places)}${fraction === '' ? '' : `.${fraction}`}`;
}
