/** Whether an `Accept` header (RFC 9110) allows a media type; one that is absent allows all. */
export function acceptsType(accept: string | null, type: string): boolean {
  if (accept === null || accept.trim() === '') return true;
  const [main = ''] = type.split('/');
  const weights = new Map<string, number>();
  for (const range of accept.split(',')) {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const q = parameters.find((parameter) => parameter.startsWith('q='));
    const weight = q === undefined ? 1 : Number(q.slice(2));
    weights.set(name, Number.isNaN(weight) ? 1 : weight);
  }
  // The most specific range that names the type decides.
  return (weights.get(type) ?? weights.get(`${main}/*`) ?? weights.get('*/*') ?? 0) > 0;
}

/** Whether a `Content-Type` says JSON. */
export function isJsonType(contentType: string | null): boolean {
  return contentType?.split(';', 1)[0]?.trim().toLowerCase() === 'application/json';
}
