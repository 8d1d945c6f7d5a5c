import { codePointLength } from '@chat-service/shared/text';
import type { Principal } from '../../clients/auth/principal.ts';
import { fieldStart } from '../../db/database.ts';

/** A query of fewer characters stands at the beginning of a field. */
const anywhereFrom = 3;

/** What is stored to search a user by. */
export function searchTextOf({ username, email, userId }: Principal): string {
  return [username, email, userId].map((field) => (field === null ? '' : fieldStart + fold(field))).join('');
}

/** The part of the stored text that a query looks for. */
export function searchedPart(query: string): string {
  const folded = fold(query);
  const length = Math.min(codePointLength(query), codePointLength(folded));
  return length < anywhereFrom ? fieldStart + folded : folded;
}

/**
 * Equal for what differs in case or compatibility form alone. It is done here, not in the databases, whose own ways
 * differ from one another and with the locale. By way of the upper case `ß` is `ss`, `ı` is `i`, and a `ς` at the end of
 * a word `σ`; the dot that `İ` leaves above its small letter is dropped.
 */
function fold(text: string): string {
  const lower = text
    .normalize('NFKC')
    .toUpperCase()
    .toLowerCase()
    .replaceAll('ς', 'σ')
    .replaceAll(/i\u0307+/gu, 'i');
  return lower.normalize('NFKC').replaceAll(fieldStart, ' ');
}
