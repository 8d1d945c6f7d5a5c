const secondsIn: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Seconds of `30s`, `45m`, `12h` or `7d`; null for anything else. */
export function parseDuration(text: string): number | null {
  const [, digits, unit = ''] = /^([1-9]\d{0,5})([smhd])$/u.exec(text) ?? [];
  const seconds = secondsIn[unit];
  return digits === undefined || seconds === undefined ? null : Number(digits) * seconds;
}
