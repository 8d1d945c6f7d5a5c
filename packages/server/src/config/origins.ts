/** Reads a comma list of origins. Problems name an entry by its place: what was put there by mistake may be a secret. */
export function readOrigins(list: string): { origins: string[]; problems: string[] } {
  const origins = new Set<string>();
  const problems: string[] = [];
  const entries = list.trim() === '' ? [] : list.split(',').map((entry) => entry.trim());
  for (const [index, entry] of entries.entries()) {
    const name = entries.length === 1 ? 'CORS_ORIGINS' : `CORS_ORIGINS (entry ${index + 1})`;
    const origin = readOrigin(entry);
    if (origin !== null) origins.add(origin);
    else if (entry === '') problems.push(`${name} is empty`);
    else if (entry === '*') problems.push(`${name} is *: list every origin by itself`);
    else problems.push(`${name} is no origin: it must be scheme://host or scheme://host:port, without a path`);
  }
  return { origins: [...origins], problems };
}

/** The origin as browsers write it, or null. Schemes of app shells (`capacitor://localhost`) are origins too. */
function readOrigin(entry: string): string | null {
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@*]+\/?$/iu.test(entry)) return null;
  const url = URL.parse(entry);
  if (url === null || url.host === '') return null;
  return url.origin === 'null' ? `${url.protocol}//${url.host}`.toLowerCase() : url.origin;
}
