/** Controls, but for line feed and tab, and what turns the direction of letters around. */
const commands = /(?![\n\t])[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu;

/**
 * What others have given a name, within a line of ours: in one line, so that it is not taken for lines of ours, without
 * gaps that would push the rest to the next row, and not without end.
 */
export function oneLine(name: string): string {
  const line = name
    .replace(/\r\n|[\n\r\u2028\u2029]/gu, '␤')
    .replaceAll('\t', '␉')
    .replace(/\s{2,}/gu, ' ');
  const characters = Array.from(line);
  return characters.length <= maxLineLength ? line : `${characters.slice(0, maxLineLength - 1).join('')}…`;
}

const maxLineLength = 80;

/**
 * What others write, for a terminal: what could move its cursor, wipe its screen, name its window or let a line read
 * otherwise than it is, as signs. Each character is looked at alone, so that a text may come in pieces.
 */
export function plainText(text: string): string {
  return text.replace(commands, (command) => {
    const code = command.codePointAt(0) ?? 0;
    if (code === 0x7f) return '␡';
    return code < 0x20 ? String.fromCodePoint(0x2400 + code) : '�';
  });
}
