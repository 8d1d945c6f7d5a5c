/**
 * The code of an error of the system or of Node's HTTP client (`ENOENT`, `ECONNREFUSED`), or of its cause; undefined where
 * it has none. Fit for the log: unlike messages, codes quote nothing.
 */
export function errorCode(error: unknown): string | undefined {
  for (const one of [error, error instanceof Error ? error.cause : undefined]) {
    const code = typeof one === 'object' && one !== null && 'code' in one ? one.code : undefined;
    if (typeof code === 'string') return code;
  }
  return undefined;
}
