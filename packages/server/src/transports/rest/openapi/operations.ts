import type { ObservationEvent, ObservedEvent } from '@chat-service/shared/events';
import type { RestRoute } from '../route-table.ts';
import { headersOf, limitHeaders, type HeaderName, type ProblemComponents } from './answers.ts';
import type { SchemaComponents } from './components.ts';
import { eventsOf, eventUnions } from './event-schemas.ts';
import { answerExamples, bodyExamples, eventExamples } from './examples.ts';
import {
  pascalCase,
  referTo,
  type AnswerObject,
  type MediaType,
  type Operation,
  type Parameter,
  type Reference,
} from './openapi-types.ts';
import { placesOf } from './parameters.ts';
import { problemCodesOf } from './problems.ts';

export interface OperationParts {
  readonly schemas: SchemaComponents;
  readonly problems: ProblemComponents;
  readonly parameters: Map<string, Parameter>;
}

/** Bodies that are not named after their operation. */
const bodyNames: Readonly<Partial<Record<string, string>>> = {
  streamMessage: 'SendMessageBody',
  startMessage: 'SendMessageBody',
};

/**
 * The operation of one method and path. Several procedures that share them are one operation, told apart by the
 * request's headers: it is named after the one for all other requests.
 */
export function operationOf(routes: readonly [RestRoute, ...RestRoute[]], parts: OperationParts): Operation {
  const primary = routes.find(({ declaration }) => declaration.when === undefined) ?? routes[0];
  const { operationId, tag } = primary.declaration;
  const body = requestBodyOf(routes, primary, parts.schemas);
  const parameters = parametersOf(routes, parts.parameters);
  return {
    operationId,
    tags: [tag],
    summary: primary.summary.replace(/\.$/u, ''),
    description: descriptionOf(primary, routes),
    ...(primary.isPublic && { security: [] }),
    ...(parameters.length > 0 && { parameters }),
    ...(body !== null && { requestBody: body }),
    responses: {
      ...answersOf(routes, parts.schemas),
      ...parts.problems.of(problemCodesOf(routes, body !== null)),
    },
  };
}

function descriptionOf(primary: RestRoute, routes: readonly RestRoute[]): string {
  const { description } = primary.declaration;
  const others = routes.filter((route) => route !== primary);
  const paragraphs = [description === undefined ? primary.summary : `${primary.summary} ${description}`];
  for (const { declaration, summary } of others) {
    const asked =
      declaration.when === 'json'
        ? 'With `Accept: application/json`'
        : 'With the header `Last-Event-ID`, without a body';
    paragraphs.push(
      `${asked}: ${summary}${declaration.description === undefined ? '' : ` ${declaration.description}`}`,
    );
  }
  return paragraphs.join('\n\n');
}

function parametersOf(routes: readonly RestRoute[], known: Map<string, Parameter>): Reference[] {
  const names = new Set<string>();
  for (const route of routes) {
    for (const [name, parameter] of placesOf(route).parameters) {
      const namesake = known.get(name) ?? parameter;
      if (JSON.stringify(namesake) !== JSON.stringify(parameter)) throw new Error(`Two parameters are ${name}.`);
      known.set(name, parameter);
      names.add(name);
    }
  }
  return [...names].map((name) => referTo('parameters', name));
}

function requestBodyOf(
  routes: readonly RestRoute[],
  primary: RestRoute,
  schemas: SchemaComponents,
): NonNullable<Operation['requestBody']> | null {
  let schema: Reference | null = null;
  let required = false;
  for (const route of routes) {
    const { body } = placesOf(route);
    if (body === null) continue;
    const { operationId } = route.declaration;
    schema = schemas.body(bodyNames[operationId] ?? `${pascalCase(operationId)}Body`, body);
    required ||= !body.safeParse({}).success;
  }
  if (schema === null) return null;
  const example = bodyExamples[primary.declaration.operationId];
  return { required, content: { 'application/json': withExample(schema, example) } };
}

function answersOf(routes: readonly RestRoute[], schemas: SchemaComponents): Record<string, AnswerObject> {
  const answers: Record<string, AnswerObject> = {};
  for (const { procedure, type, declaration, output, isPublic } of routes) {
    const { operationId, status = 200, location, idempotencyKey } = declaration;
    const always: HeaderName[] = ['XRequestId', ...(isPublic ? [] : limitHeaders)];
    const names = [...always];
    if (location !== undefined) names.push('Location');
    if (idempotencyKey !== undefined) names.push('IdempotentReplayed');
    const headers = headersOf(names);
    if (type === 'subscription') {
      answers['200'] ??= {
        description:
          'Server-sent events, each with an `id` to resume after, an `event` that is its type, and `data` of this form.',
        headers,
        content: { 'text/event-stream': eventStreamOf(procedure) },
      };
      // An answer is over at some time; what happens in a session is not.
      if (eventsOf[procedure] === 'GenerationEvent') {
        answers['204'] ??= { description: 'There is nothing (more) to send.', headers: headersOf(always) };
      }
    } else if (status === 204 || output === null) {
      answers[String(status)] = { description: 'Done.', headers };
    } else {
      const schema = schemas.answer(`${pascalCase(operationId)}Result`, output);
      const content = { 'application/json': withExample(schema, answerExamples[operationId]) };
      answers[String(status)] = { description: successes[status], headers, content };
    }
  }
  // Health is told with the same body whichever way it is.
  const [{ procedure }] = routes as readonly [RestRoute];
  const healthy = answers['200'];
  if (procedure === 'system.health' && healthy !== undefined) {
    answers['503'] = { ...healthy, description: 'Shutting down, or without a database.' };
  }
  return answers;
}

const successes = { 200: 'Success.', 201: 'Made.', 202: 'Admitted.' } as const;

function eventStreamOf(procedure: string): MediaType {
  const union = eventsOf[procedure];
  if (union === undefined) throw new Error(`Nothing says which events ${procedure} sends.`);
  const types = Object.keys(eventUnions[union]) as (ObservationEvent | ObservedEvent)['type'][];
  return {
    schema: referTo('schemas', union),
    examples: Object.fromEntries(types.map((type) => [type, { value: eventExamples[type] }])),
  };
}

function withExample(schema: Reference, value: unknown): MediaType {
  return value === undefined ? { schema } : { schema, examples: { default: { value } } };
}
