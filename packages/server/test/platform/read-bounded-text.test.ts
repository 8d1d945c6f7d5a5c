import { describe, expect, it } from 'vitest';
import { readBoundedText } from '../../src/platform/read-bounded-text.ts';

/** An answer whose body comes in these pieces, and how many of them were taken, and whether it was left. */
function answer(pieces: readonly Uint8Array[]) {
  const seen = { taken: 0, left: false };
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const piece = pieces[seen.taken];
        if (piece === undefined) return controller.close();
        seen.taken += 1;
        controller.enqueue(piece);
      },
      cancel() {
        seen.left = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { response: new Response(body), seen };
}

describe('the bounded text of a body', () => {
  it('is whole up to the bound, also where a character comes in two pieces', async () => {
    const bytes = new TextEncoder().encode('half a €');
    const { response, seen } = answer([bytes.slice(0, -1), bytes.slice(-1)]);
    expect(await readBoundedText(response, bytes.byteLength)).toBe('half a €');
    expect(seen).toEqual({ taken: 2, left: false });
  });

  it('is null beyond the bound, counted in bytes, and the rest is not taken', async () => {
    const piece = new TextEncoder().encode('€');
    const { response, seen } = answer(Array.from({ length: 100 }, () => piece));
    expect(await readBoundedText(response, 2 * piece.byteLength)).toBeNull();
    expect(seen).toEqual({ taken: 3, left: true });
  });

  it('is empty where there is no body', async () => {
    expect(await readBoundedText(new Response(null, { status: 204 }), 1)).toBe('');
  });
});
