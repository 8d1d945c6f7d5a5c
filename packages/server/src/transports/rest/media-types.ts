/** How much an `Accept` header (RFC 9110) asks for a media type: from 0, not at all, to 1. One that is absent asks for any. */
export function weightOf(accept: string | null, type: string): number {
  if (accept === null || accept.trim() === '') return 1;
  const [main = ''] = type.split('/');
  const weights = new Map<string, number>();
  for (const range of accept.split(',')) {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const q = parameters.find((parameter) => parameter.startsWith('q='));
    const weight = q === undefined ? 1 : Number(q.slice(2));
    weights.set(name, Number.isNaN(weight) ? 1 : weight);
  }
  // The most specific range that names the type decides.
  return weights.get(type) ?? weights.get(`${main}/*`) ?? weights.get('*/*') ?? 0;
}

/** Whether a `Content-Type` says JSON, and in no other character set than JSON has. */
export function isJsonType(contentType: string | null): boolean {
  const [type, ...parameters] = (contentType ?? '').split(';').map((part) => part.trim().toLowerCase());
  const charset = parameters.find((parameter) => parameter.startsWith('charset='));
  return type === 'application/json' && (charset === undefined || /^charset=(["']?)utf-?8\1$/u.test(charset));
}
