import { isStorableText } from '@chat-service/shared/text';

/** Makes a model's text storable piece by piece. */
export interface TextRepair {
  /** The piece with U+FFFD for what cannot be stored; may be empty, as half a surrogate pair waits for the other. */
  push(text: string): string;
  /** What still waited at the end, or an empty string. */
  flush(): string;
}

/** Servers that cut answers by UTF-16 units send an emoji in two halves, each a lone surrogate for itself. */
export function createTextRepair(): TextRepair {
  let half = '';
  return {
    push(piece) {
      if (half === '' && isStorableText(piece)) return piece;
      let text = half + piece;
      half = '';
      if (isHighSurrogate(text.charCodeAt(text.length - 1))) {
        half = text.slice(-1);
        text = text.slice(0, -1);
      }
      return text.toWellFormed().replaceAll('\u0000', '\uFFFD');
    },
    flush() {
      const rest = half === '' ? '' : '\uFFFD';
      half = '';
      return rest;
    },
  };
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}
