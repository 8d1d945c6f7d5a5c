import { headersOf, type ProblemComponents } from './answers.ts';
import { answerExamples } from './examples.ts';
import { referTo, type AnswerObject, type Operation } from './openapi-types.ts';
import { everywhere } from './problems.ts';

/** Paths that are no procedures: probes, and the documents about the interface. */
export function fixedPaths(problems: ProblemComponents): Record<string, Record<string, Operation>> {
  const headers = headersOf(['XRequestId']);
  const open = { tags: ['System'], security: [] } as const;
  const refusals = problems.of(new Set(everywhere));
  const documentRefusals = problems.of(new Set([...everywhere, 'RATE_LIMITED']));
  const health = (operationId: string, description: string): AnswerObject => ({
    description,
    headers,
    content: {
      'application/json': {
        schema: referTo('schemas', 'Health'),
        examples: { default: { value: answerExamples[operationId] } },
      },
    },
  });
  return {
    '/api/health/live': {
      get: {
        ...open,
        operationId: 'getLiveness',
        summary: 'Whether the process answers',
        description: 'Asks nothing else: for probes that restart a process.',
        responses: { '200': health('getLiveness', 'It does.'), ...refusals },
      },
    },
    '/api/health/ready': {
      get: {
        ...open,
        operationId: 'getReadiness',
        summary: 'Whether requests should be sent here',
        description: 'For load balancers: 503 while shutting down or without a database.',
        responses: {
          '200': health('getReadiness', 'They should.'),
          '503': health('getReadiness', 'Shutting down, or without a database.'),
          ...refusals,
        },
      },
    },
    '/api/openapi.json': {
      get: {
        ...open,
        operationId: 'getOpenApiDocument',
        summary: 'This document',
        description: 'The description of every path, in OpenAPI 3.1.',
        responses: {
          '200': {
            description: 'Success.',
            headers,
            content: {
              'application/json': {
                schema: {
                  type: 'object',
                  properties: { openapi: { type: 'string' }, info: { type: 'object' }, paths: { type: 'object' } },
                  required: ['openapi', 'info', 'paths'],
                },
                examples: { default: { summary: 'Its outline', value: { openapi: '3.1.0', info: {}, paths: {} } } },
              },
            },
          },
          ...documentRefusals,
        },
      },
    },
    '/api/docs': {
      get: {
        ...open,
        operationId: 'getDocumentation',
        summary: 'This document as a page',
        description: 'For reading and for trying things out with a token of your own.',
        responses: {
          '200': {
            description: 'Success.',
            headers,
            content: {
              'text/html': {
                schema: { type: 'string' },
                examples: { default: { summary: 'Its beginning', value: '<!doctype html>' } },
              },
            },
          },
          ...documentRefusals,
        },
      },
    },
  };
}
