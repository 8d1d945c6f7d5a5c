/** The body of an answer as text; null where it is longer than `maxBytes`, and the rest is then not read. */
export async function readBoundedText(response: Response, maxBytes: number): Promise<string | null> {
  const body: AsyncIterable<Uint8Array> | null = response.body;
  if (body === null) return '';
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) return null;
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
