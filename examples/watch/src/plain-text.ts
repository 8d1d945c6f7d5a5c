/** What others write, for a terminal: control characters, which could move its cursor or wipe its screen, as pictures. */
export function plainText(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, (control) => {
    const code = control.codePointAt(0) ?? 0;
    if (code === 0x7f) return '␡';
    return code < 0x20 ? String.fromCodePoint(0x2400 + code) : '�';
  });
}
