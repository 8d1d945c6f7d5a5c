const redacted = '[redacted]';
/** Deeper than anything the service logs; it bounds the work on what a dependency hands us. */
const maxDepth = 10;

/** Fields that hold a credential wherever they stand: the name without case, `-` and `_`, or an end of it. */
const credentialNames = new Set(['key', 'keys', 'pem', 'jwt', 'credential', 'credentials', 'databaseurl']);
const credentialEndings =
  /(?:authorization|cookie|token|secret|secrets|password|passwd|passphrase|apikey|apikeys|privatekey|publickey|accesskey)$/u;

/** Credentials inside longer text: bearer headers, JWTs, `token=` in a query string, the password of a URL. */
const bearer = /\b(bearer\s+)[\w.~+/-]+=*/giu;
const jwt = /\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*/gu;
const tokenParameter = /([?&](?:access_)?token=)[^&\s"'\\]+/giu;
const urlPassword = /\b([a-z][a-z0-9+.-]*:\/\/[^\s/:@"'\\]*:)[^\s/@"'\\]+@/giu;

/** Found wherever one of them finds something: most texts are done with after this one look. */
const traces = /bearer|eyj|token=|:\/\//iu;

/** The text with every credential in it replaced; a line of JSON stays a line of JSON. */
export function redactText(text: string): string {
  if (!traces.test(text)) return text;
  return text
    .replace(bearer, `$1${redacted}`)
    .replace(jwt, redacted)
    .replace(tokenParameter, `$1${redacted}`)
    .replace(urlPassword, `$1${redacted}@`);
}

export function isCredentialName(name: string): boolean {
  const plain = name.toLowerCase().replaceAll(/[-_]/gu, '');
  return credentialNames.has(plain) || credentialEndings.test(plain);
}

/** Copies `value` for the log: credentials at any depth replaced, `text` applied to every other string. */
export function redact(value: unknown, text: (value: string) => string = redactText): unknown {
  return redactValue(value, text, []);
}

function redactValue(value: unknown, text: (value: string) => string, ancestors: readonly object[]): unknown {
  if (typeof value === 'string') return text(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof URL) return text(value.href);
  if (value instanceof Error) return describeError(value, ancestors);
  if (ArrayBuffer.isView(value)) return `bytes(${value.byteLength})`;
  if (ancestors.includes(value)) return '[circular]';
  if (ancestors.length >= maxDepth) return '[deep]';
  const path = [...ancestors, value];
  if (Array.isArray(value)) return value.map((item) => redactValue(item, text, path));
  const entries = value instanceof Headers || value instanceof Map ? [...value] : Object.entries(value);
  return Object.fromEntries(
    entries.map(([name, item]) => {
      // Numbers and booleans under such a name are figures about a credential or a model's tokens, not a credential.
      const hidden = (typeof item === 'string' || typeof item === 'object') && isCredentialName(String(name));
      return [String(name), hidden && item !== null ? redacted : redactValue(item, text, path)];
    }),
  );
}

/** What is told of an error beside its message: figures and names, never values of rows, queries or bodies. */
const errorFields = [
  'code',
  'status',
  'errno',
  'syscall',
  'hostname',
  'address',
  'port',
  'constraint_name',
  'table_name',
  'column_name',
] as const;

/**
 * An error as the log tells it: type, message, the frames of its stack, its causes. Database drivers put bound values
 * into messages and properties, and `JSON.parse` quotes the text it refused: both are what users wrote, and left out.
 */
export function describeError(error: Error, ancestors: readonly object[] = []): Record<string, unknown> {
  if (ancestors.includes(error)) return { type: error.name, message: '[circular]' };
  const path = [...ancestors, error];
  const deeper = (inner: unknown) => (path.length >= maxDepth ? '[deep]' : redactValue(inner, redactText, path));
  const described: Record<string, unknown> = {
    type: error.name,
    message: redactText(messageWithoutValues(error)),
    stack: redactText(stackFrames(error)),
  };
  for (const field of errorFields) {
    const value: unknown = Reflect.get(error, field);
    if (typeof value === 'string' || typeof value === 'number') described[field] = value;
  }
  if (error.cause !== undefined) described['cause'] = deeper(error.cause);
  if (error instanceof AggregateError) described['errors'] = error.errors.slice(0, 5).map(deeper);
  return described;
}

function messageWithoutValues(error: Error): string {
  if (error instanceof SyntaxError && /\bJSON\b/u.test(error.message)) return 'not valid JSON';
  const query: unknown = Reflect.get(error, 'query');
  return typeof query === 'string' && Reflect.has(error, 'params') ? `failed query: ${query}` : error.message;
}

function stackFrames(error: Error): string {
  const stack = error.stack ?? '';
  const at = stack.indexOf(error.message);
  const frames = at === -1 ? stack : stack.slice(at + error.message.length);
  return frames
    .split('\n')
    .filter((line) => /^\s+at /u.test(line))
    .join('\n');
}
