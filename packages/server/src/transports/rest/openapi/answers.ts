import { errorTable, type ErrorCode } from '@chat-service/shared/errors';
import { problemExample } from './examples.ts';
import { headerNames, type headers } from './headers.ts';
import { pascalCase, referTo, type AnswerObject, type Reference } from './openapi-types.ts';
import { byStatus, occasionOf } from './problems.ts';

export type HeaderName = keyof typeof headers;

/** On every answer to what was counted. */
export const limitHeaders = ['RateLimit', 'RateLimitPolicy'] as const satisfies readonly HeaderName[];

export function headersOf(names: readonly HeaderName[]): Record<string, Reference> {
  return Object.fromEntries(names.map((name) => [headerNames[name], referTo('headers', name)]));
}

/** Collects the refusals of all operations: those with the same codes are one component. */
export interface ProblemComponents {
  /** By status. */
  of(codes: ReadonlySet<ErrorCode>): Record<string, Reference>;
  build(): Record<string, AnswerObject>;
}

export function createProblemComponents(): ProblemComponents {
  const components = new Map<string, AnswerObject>();
  return {
    of(codes) {
      const answers = [...byStatus(codes)].map(([status, ofStatus]) => {
        const name = ofStatus.map(pascalCase).join('Or');
        components.set(name, problemAnswer(status, ofStatus));
        return [String(status), referTo('responses', name)] as const;
      });
      return Object.fromEntries(answers);
    },
    build: () => Object.fromEntries([...components].toSorted(([a], [b]) => (a < b ? -1 : 1))),
  };
}

function problemAnswer(status: number, codes: readonly ErrorCode[]): AnswerObject {
  const names: HeaderName[] = ['XRequestId', ...limitHeaders];
  if (status === 429 || status === 503) names.push('RetryAfter');
  if (status === 401) names.push('WwwAuthenticate');
  const told = codes.map((code) => (codes.length === 1 ? occasionOf(code) : `\`${code}\`: ${occasionOf(code)}`));
  return {
    description: told.join('\n\n'),
    headers: headersOf(names),
    content: {
      'application/problem+json': {
        schema: referTo('schemas', 'Problem'),
        examples: Object.fromEntries(
          codes.map((code) => [code, { summary: errorTable[code].title, value: problemExample(code) }]),
        ),
      },
    },
  };
}
