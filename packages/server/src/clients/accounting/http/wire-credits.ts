import { microPerCredit, type Micro } from '../accounting.ts';

/** Millionths as they are sent: a decimal number with at most 6 places. */
export function creditsOf(micro: Micro): number {
  return micro / microPerCredit;
}

/**
 * Credits as they were sent in whole millionths, rounded down, so that nothing is spent that is not there. By their
 * digits: 1.1 times a million is a little more than it should be, 4.35 a little less.
 */
export function microOf(credits: number): Micro {
  const amount = Math.min(Math.abs(credits), Number.MAX_SAFE_INTEGER / microPerCredit);
  const [whole = '0', places = ''] = (amount < 1e-6 ? '0' : String(amount)).split('.');
  const parts = Number(places.padEnd(6, '0').slice(0, 6));
  const micro = Math.min(Number(whole) * microPerCredit + parts, Number.MAX_SAFE_INTEGER);
  if (credits >= 0) return micro;
  return -(micro + (creditsOf(micro) < amount ? 1 : 0));
}
