const longest = 60;

/** The first words of a message, at most 60 code points, cut between words where there is a gap; null for blank text. */
export function automaticTitle(message: string): string | null {
  // Only the beginning matters: a text of 32,000 characters need not be split into words.
  const words = message.slice(0, 1000).trim().split(/\s+/u);
  const [first] = words;
  if (first === undefined || first === '') return null;
  let title = Array.from(first).slice(0, longest).join('');
  for (const word of words.slice(1)) {
    const longer = `${title} ${word}`;
    if (Array.from(longer).length > longest) break;
    title = longer;
  }
  return title.toWellFormed();
}
