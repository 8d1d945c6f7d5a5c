/** What one request asks for; `unknown` is no call of the contract. */
export type FakeOperation = 'check' | 'record' | 'release' | 'balance' | 'unknown';

export interface FakeHeaders {
  readonly authorization: string | undefined;
  readonly idempotencyKey: string | undefined;
  readonly userToken: string | undefined;
  readonly contentType: string | undefined;
}

export type FakeBody = Readonly<Record<string, unknown>>;

export function operationOf(method: string, path: string): FakeOperation {
  if (method === 'GET' && /^\/api\/credits\/[^/]+$/.test(path)) return 'balance';
  if (method !== 'POST') return 'unknown';
  if (path === '/api/credits/check') return 'check';
  if (path === '/api/usage/record') return 'record';
  return path === '/api/credits/release' ? 'release' : 'unknown';
}

const text = (value: unknown) => typeof value === 'string' && value !== '';
const optionalText = (value: unknown) => value === undefined || text(value);
const whole = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 0;
/** A decimal number with at most 6 places. */
const credits = (value: unknown) =>
  typeof value === 'number' && value >= 0 && /^\d+(?:\.\d{1,6})?$/.test(decimal(value));
const oneOf =
  (...values: readonly unknown[]) =>
  (value: unknown) =>
    values.includes(value);
const instant = (value: unknown) => typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value);

function decimal(value: number): string {
  return value > 0 && value < 1e-6 ? value.toFixed(12) : String(value);
}

type Shape = Readonly<Record<string, (value: unknown) => boolean>>;

const estimate: Shape = { inputTokens: whole, outputTokens: whole, credits };
const common: Shape = { usageId: text, userId: text };
const shapes: Readonly<Record<'check' | 'record' | 'release', Shape>> = {
  check: {
    ...common,
    plan: text,
    sessionId: text,
    modelId: (value) => value === null || text(value),
    operation: oneOf('session', 'message'),
    estimate: (value) => isObject(value) && misfits(estimate, value).length === 0,
    holdSeconds: whole,
  },
  record: {
    ...common,
    holdId: optionalText,
    sessionId: text,
    messageId: text,
    modelId: text,
    inputTokens: whole,
    outputTokens: whole,
    credits,
    outcome: oneOf('complete', 'stopped', 'failed', 'interrupted'),
    occurredAt: instant,
  },
  release: { ...common, holdId: optionalText },
};

function misfits(shape: Shape, body: FakeBody): string[] {
  const unknown = Object.keys(body).filter((name) => !Object.hasOwn(shape, name));
  return [...unknown, ...Object.keys(shape).filter((name) => shape[name]?.(body[name]) !== true)];
}

export function isObject(value: unknown): value is FakeBody {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What of a request is not as the contract has it; null when all is. */
export function problemOf(operation: FakeOperation, body: unknown, headers: FakeHeaders): string | null {
  const { idempotencyKey, userToken, contentType } = headers;
  if (operation !== 'check' && userToken !== undefined) return "the user's token goes along with checks alone";
  if (operation === 'balance') return null;
  if (operation === 'unknown') return 'no such call';
  if (contentType !== 'application/json') return 'not said to be JSON';
  if (!isObject(body)) return 'no object';
  const wrong = misfits(shapes[operation], body);
  if (wrong.length > 0) return `wrong: ${wrong.join(', ')}`;
  if (idempotencyKey !== body['usageId']) return 'the idempotency key is not the usage id';
  return null;
}
