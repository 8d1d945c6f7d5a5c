/**
 * Whether parsed JSON has a member named `__proto__` anywhere. Validation would drop it without a word, and whoever
 * copies the object later may take it for a prototype. Not recursive: nesting is bounded by the body's size alone.
 */
export function hasProtoKey(value: unknown): boolean {
  const open: unknown[] = [value];
  for (let current = open.pop(); current !== undefined; current = open.pop()) {
    if (typeof current !== 'object' || current === null) continue;
    if (Object.hasOwn(current, '__proto__')) return true;
    for (const member of Object.values(current)) if (typeof member === 'object' && member !== null) open.push(member);
  }
  return false;
}
