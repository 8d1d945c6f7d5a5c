import { codePointLength } from '@chat-service/shared/text';

const longest = 60;

/** The first words of a message, at most 60 code points, cut between words where there is a gap; null for blank text. */
export function automaticTitle(message: string): string | null {
  let title: string | null = null;
  // Words are found one by one: a text of 32,000 characters need not be split for its first few.
  for (const [word] of message.matchAll(/\S+/gu)) {
    if (title === null) {
      title = firstCodePoints(word);
      continue;
    }
    const longer: string = `${title} ${word}`;
    if (longer.length > 2 * longest || codePointLength(longer) > longest) break;
    title = longer;
  }
  return title;
}

function firstCodePoints(word: string): string {
  // A code point is at most two units.
  return Array.from(word.slice(0, 2 * longest))
    .slice(0, longest)
    .join('');
}
