/** Number of `o200k_base` tokens of a text: exact for that vocabulary on ordinary text, an estimate for other models. */
export type CountTokens = (text: string) => number;

/** What a chat format spends around each message, and once for opening the answer. */
export const messageOverheadTokens = 4;
export const replyOverheadTokens = 3;

/**
 * Byte-pair merging takes time that grows with the square of an unbroken run, seconds for 32,000 equal letters. Runs
 * longer than this many code points are counted in pieces of it, which is off by about a token a piece.
 */
const longestRun = 32;
/** One match takes stack for each code point of it, and a run of some millions would take more than there is. */
const longestMatch = 1024 * longestRun;
const matchLength = `{${longestRun + 1},${longestMatch}}`;
const longRuns = new RegExp(`\\S${matchLength}|\\s${matchLength}`, 'gu');
const pieces = new RegExp(`[^]{1,${longestRun}}`, 'gu');
/** Text that looks like a special token is ordinary text here: it came from a person or a model. */
const noSpecialTokens = { disallowedSpecial: new Set<string>() };

let loading: Promise<CountTokens> | undefined;

/** Code units that are really counted, for a third of a second at the worst; what is beyond is taken to be like them. */
const mostCounted = 256 * 1024;

/** Loads the vocabulary at first use (about 0.2 s and 30 MB, which a start should not pay) and keeps it. */
export function loadTokenCounter(): Promise<CountTokens> {
  loading ??= load();
  return loading;
}

async function load(): Promise<CountTokens> {
  const encoding = await import('gpt-tokenizer/encoding/o200k_base');
  // The library would keep words of users' texts for the life of the process; deleted texts must be gone.
  encoding.setMergeCacheSize(0);
  const countShort = (text: string) => (text === '' ? 0 : encoding.countTokens(text, noSpecialTokens));
  const count = (text: string) => {
    let tokens = 0;
    let counted = 0;
    // Long runs tend to repeat themselves; each different piece is worked out once a call.
    const known = new Map<string, number>();
    for (const { 0: run, index } of text.matchAll(longRuns)) {
      tokens += countShort(text.slice(counted, index));
      for (const piece of run.match(pieces) ?? []) {
        const length = known.get(piece) ?? countShort(piece);
        known.set(piece, length);
        tokens += length;
      }
      counted = index + run.length;
    }
    return tokens + countShort(text.slice(counted));
  };
  return (text) => {
    if (text.length <= mostCounted) return count(text);
    return Math.ceil((count(text.slice(0, mostCounted)) * text.length) / mostCounted);
  };
}
