import { describe, expect, it } from 'vitest';
import {
  introduction,
  parameterDescriptions,
  schemaDescriptions,
} from '../../../src/transports/rest/openapi/descriptions.ts';
import { createOpenApiDocument } from '../../../src/transports/rest/openapi/document.ts';
import { eventsOf, eventUnions } from '../../../src/transports/rest/openapi/event-schemas.ts';
import { bodyExamples, answerExamples } from '../../../src/transports/rest/openapi/examples.ts';
import type { Operation, Schema } from '../../../src/transports/rest/openapi/openapi-types.ts';
import { createRouteTable } from '../../../src/transports/rest/route-table.ts';
import { declaredRouter } from '../../support/declared-router.ts';

/** Only what the procedures declare is read: nothing behind them is called. */
const { routes } = createRouteTable(declaredRouter);
const document = createOpenApiDocument({ routes, version: '1.2.3' });
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);
const { schemas } = document.components;

/** Procedures that are behind the tRPC doors only. A new procedure is on the REST door, or it is named here. */
const withoutRest: readonly string[] = [];
/** Operations that are no procedures. */
const withoutProcedure = ['getDocumentation', 'getLiveness', 'getOpenApiDocument', 'getReadiness'];
/** Procedures that share a path and method with another one, whose operation speaks for them. */
const sharing = { startMessage: 'streamMessage', resumeMessage: 'streamMessage' } as const;

function jsonOf(value: unknown): string {
  return JSON.stringify(value);
}

/** Every property below a schema, with its path. */
function* propertiesOf(schema: Schema, path = ''): Generator<{ path: string; schema: Schema }> {
  for (const part of [schema, ...(schema.anyOf ?? []), schema.items, schema.additionalProperties].flat()) {
    if (typeof part !== 'object') continue;
    for (const [name, property] of Object.entries(part.properties ?? {})) {
      if (typeof property !== 'object') continue;
      const inner = path === '' ? name : `${path}.${name}`;
      yield { path: inner, schema: property };
      yield* propertiesOf(property, inner);
    }
  }
}

describe('the OpenAPI document', () => {
  it('has every procedure, and nothing else but the fixed paths', () => {
    const declared = routes.map(({ declaration }) => declaration.operationId);
    const shown = operations.map(({ operation }) => operation.operationId);
    const expected = declared.map((id) => (Object.hasOwn(sharing, id) ? Reflect.get(sharing, id) : id) as string);
    expect(shown.toSorted()).toEqual([...new Set([...expected, ...withoutProcedure])].toSorted());
    const onRest = new Set(routes.map(({ procedure }) => procedure));
    const procedures = Object.keys(declaredRouter._def.procedures);
    expect(procedures.filter((procedure) => !onRest.has(procedure))).toEqual(withoutRest);
  });

  it('names operations in camel case, once each, under tags that it describes', () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.filter((id) => !/^[a-z]+(?:[A-Z][a-z]+)*$/u.test(id))).toEqual([]);
    const tags = new Set(document.tags.map(({ name }) => name));
    expect(operations.flatMap(({ operation }) => operation.tags.filter((tag) => !tags.has(tag)))).toEqual([]);
    expect(document.info).toMatchObject({ version: '1.2.3', description: introduction });
  });

  it('describes every property and parameter, and has no description left over', () => {
    const missing: string[] = [];
    const used = new Set<string>();
    for (const [name, schema] of Object.entries(schemas)) {
      if (schema.description !== undefined) used.add(`${name}.`);
      for (const { path, schema: property } of propertiesOf(schema)) {
        used.add(`${name}.${path}`);
        if (property.description === undefined) missing.push(`${name}.${path}`);
      }
    }
    expect(missing).toEqual([]);
    const given = Object.entries(schemaDescriptions).flatMap(([name, texts]) =>
      Object.keys(texts).map((path) => `${name}.${path}`),
    );
    expect(given.filter((key) => !used.has(key))).toEqual([]);
    const { parameters } = document.components;
    expect(Object.keys(parameters).toSorted()).toEqual(Object.keys(parameterDescriptions).toSorted());
  });

  it('gives an example of every body and every success', () => {
    const missing: string[] = [];
    const seen = new Set<string>();
    for (const { operation } of operations) {
      const { requestBody, responses, operationId } = operation;
      const answers = Object.entries(responses).flatMap(([status, answer]) =>
        'content' in answer ? Object.values(answer.content ?? {}).map((media) => [status, media] as const) : [],
      );
      for (const media of Object.values(requestBody?.content ?? {})) answers.push(['body', media]);
      for (const [where, { examples = {} }] of answers) {
        if (Object.keys(examples).length === 0) missing.push(`${operationId} ${where}`);
        for (const { value } of Object.values(examples)) seen.add(jsonOf(value));
      }
    }
    expect(missing).toEqual([]);
    const written = [...Object.entries(bodyExamples), ...Object.entries(answerExamples)];
    expect(written.filter(([, value]) => !seen.has(jsonOf(value))).map(([id]) => id)).toEqual([]);
  });

  it('closes bodies and leaves answers open', () => {
    const isOfRequest = (name: string) => /(?:Body|Input)$/u.test(name);
    for (const [name, schema] of Object.entries(schemas)) {
      const closed = jsonOf(schema).includes('"additionalProperties":false');
      expect([name, closed]).toEqual([name, isOfRequest(name)]);
    }
  });

  it('writes each schema once and refers to it by its name', () => {
    const message = jsonOf(schemas['Message']?.properties);
    expect(jsonOf(document).split(message)).toHaveLength(2);
    expect(schemas['Message']?.properties?.['usage']).toMatchObject({
      anyOf: [{ $ref: '#/components/schemas/Usage' }, { type: 'null' }],
    });
    const references = new Set([...jsonOf(document).matchAll(/"\$ref":"#\/components\/(\w+)\/(\w+)"/gu)].map(String));
    for (const reference of references) {
      const [, kind = '', name = ''] = reference.split(',');
      expect(Reflect.get(document.components, kind), reference).toHaveProperty(name);
    }
  });

  it('tells events apart by their type', () => {
    for (const [name, members] of Object.entries(eventUnions)) {
      const union = schemas[name] ?? {};
      expect(union).toMatchObject({ discriminator: { propertyName: 'type' } });
      expect(union.oneOf).toHaveLength(Object.keys(members).length);
      for (const type of Object.keys(members)) {
        const { mapping } = union['discriminator'] as { mapping: Record<string, string> };
        const member = schemas[mapping[type]?.split('/').at(-1) ?? ''];
        expect(member?.properties?.['type']).toMatchObject({ const: type });
        expect(member?.required).toContain('type');
      }
    }
    // What users' own streams carry where they are shown that they are watched.
    const told = (name: keyof typeof eventUnions) => Object.keys(eventUnions[name]).includes('observed');
    expect([told('GenerationEvent'), told('SessionEvent'), told('ObservationEvent')]).toEqual([true, true, false]);
    const subscriptions = routes.filter(({ type }) => type === 'subscription').map(({ procedure }) => procedure);
    expect(Object.keys(eventsOf).toSorted()).toEqual([...new Set(subscriptions)].toSorted());
  });

  it('gives the limits that the procedures check', () => {
    expect(schemas['SendMessageBody']?.properties?.['message']).toMatchObject({ minLength: 1, maxLength: 32_000 });
    expect(schemas['ParametersInput']?.properties?.['temperature']).toMatchObject({ minimum: 0, maximum: 2 });
    expect(schemas['Metadata']).toMatchObject({
      maxProperties: 16,
      propertyNames: { minLength: 1, maxLength: 64 },
      additionalProperties: { maxLength: 512 },
    });
    expect(document.components.parameters['Limit']?.schema).toMatchObject({ minimum: 1, maximum: 100 });
    expect(document.components.parameters['IdempotencyKey']).toMatchObject({ name: 'Idempotency-Key', in: 'header' });
  });

  it('says which problems an operation can give', () => {
    const problems = (id: string) => {
      const { operation } = operations.find((one) => one.operation.operationId === id) ?? {};
      const isProblem = ([, answer]: [string, Operation['responses'][string]]) => '$ref' in answer;
      return Object.entries(operation?.responses ?? {})
        .filter(isProblem)
        .map(([status]) => Number(status));
    };
    expect(problems('sendMessage')).toEqual([
      400, 401, 402, 403, 404, 406, 409, 413, 415, 422, 429, 500, 502, 503, 504,
    ]);
    expect(problems('listSessions')).toEqual([400, 401, 403, 406, 429, 500, 503]);
    expect(problems('getHealth')).toEqual([400, 403]);
    expect(problems('getOpenApiDocument')).toEqual([400, 403, 429]);
    expect(document.components.responses['GenerationInProgressOrConflict']?.content).toHaveProperty([
      'application/problem+json',
      'examples',
      'GENERATION_IN_PROGRESS',
    ]);
  });

  it('asks for a token everywhere but for health and the documents', () => {
    const open = operations.filter(({ operation }) => operation.security !== undefined);
    expect(open.map(({ path }) => path).toSorted()).toEqual([
      '/api/docs',
      '/api/health',
      '/api/health/live',
      '/api/health/ready',
      '/api/openapi.json',
    ]);
    expect(open.every(({ operation }) => operation.security?.length === 0)).toBe(true);
    expect(document.security).toEqual([{ bearer: [] }]);
  });
});
