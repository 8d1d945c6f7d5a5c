import type { z } from 'zod';
import { quotaSchema } from '@chat-service/shared/account-api';
import {
  capabilitySchema,
  finishReasonSchema,
  messageSchema,
  metadataSchema,
  modelSchema,
  parametersSchema,
  sessionSchema,
  usageSchema,
} from '@chat-service/shared/objects';
import { paginationSchema } from '@chat-service/shared/paging';
import { auditEntrySchema, liveSessionSchema, userSchema } from '@chat-service/shared/supervisor-api';
import { healthOutput } from '@chat-service/shared/system-api';
import { schemaDescriptions } from './descriptions.ts';
import { eventUnions } from './event-schemas.ts';
import { toNamedSchemas } from './json-schemas.ts';
import { pascalCase, referTo, type Reference, type Schema } from './openapi-types.ts';
import { problemSchema } from './problem-schema.ts';

/** Collects schemas under their names, so that each is written once and referred to everywhere else. */
export interface SchemaComponents {
  body(name: string, schema: z.ZodObject): Reference;
  answer(name: string, schema: z.ZodType): Reference;
  /** All that were named, described. @throws Error when a name stands for two schemas */
  build(): Record<string, Schema>;
}

const shared = { Capability: capabilitySchema, Metadata: metadataSchema };
/** Closed where their namesakes in answers are open. */
const requestOnly = { ...shared, ParametersInput: parametersSchema };

export function createSchemaComponents(): SchemaComponents {
  const bodies = new Map<string, z.ZodObject>();
  const answers = new Map<string, z.ZodType>(
    Object.entries({
      ...shared,
      AuditEntry: auditEntrySchema,
      FinishReason: finishReasonSchema,
      Health: healthOutput,
      LiveSession: liveSessionSchema,
      Message: messageSchema,
      Model: modelSchema,
      Pagination: paginationSchema,
      Parameters: parametersSchema,
      Problem: problemSchema,
      Quota: quotaSchema,
      Session: sessionSchema,
      Usage: usageSchema,
      User: userSchema,
    }),
  );
  for (const schemas of Object.values(eventUnions)) {
    for (const [type, schema] of Object.entries<z.ZodType>(schemas)) answers.set(eventName(type), schema);
  }
  const names = new Map([...answers].map(([name, schema]) => [schema, name]));

  return {
    body(name, schema) {
      const known = bodies.get(name);
      if (known !== undefined && !haveSameFields(known, schema)) throw new Error(`Two different bodies are ${name}.`);
      if (known === undefined) bodies.set(name, schema);
      return referTo('schemas', name);
    },
    answer(name, schema) {
      const known = names.get(schema) ?? name;
      names.set(schema, known);
      answers.set(known, schema);
      return referTo('schemas', known);
    },
    build() {
      const schemas = {
        ...toNamedSchemas(new Map<string, z.ZodType>([...Object.entries(requestOnly), ...bodies]), 'request'),
        ...toNamedSchemas(answers, 'answer'),
        ...Object.fromEntries(Object.entries(eventUnions).map(([name, union]) => [name, unionOf(Object.keys(union))])),
      };
      const sorted = Object.entries(schemas).toSorted(([a], [b]) => (a < b ? -1 : 1));
      for (const [name, schema] of sorted) describe(schema, schemaDescriptions[name] ?? {}, []);
      return Object.fromEntries(sorted);
    },
  };
}

function eventName(type: string): string {
  return `${pascalCase(type)}Event`;
}

function unionOf(types: readonly string[]): Schema {
  const mapping = Object.fromEntries(types.map((type) => [type, referTo('schemas', eventName(type)).$ref]));
  return { oneOf: Object.values(mapping).map(($ref) => ({ $ref })), discriminator: { propertyName: 'type', mapping } };
}

/** Two bodies are the same when the very same schemas stand in them. */
function haveSameFields(a: z.ZodObject, b: z.ZodObject): boolean {
  const names = Object.keys(a.shape);
  return names.length === Object.keys(b.shape).length && names.every((name) => a.shape[name] === b.shape[name]);
}

function describe(schema: Schema, descriptions: Readonly<Record<string, string>>, path: readonly string[]): void {
  const description = descriptions[path.join('.')];
  if (description !== undefined) schema.description = description;
  // What may be null has its properties in the other branch, a list or a map those of what is in it.
  const inside = [schema.items, schema.additionalProperties, ...(schema.anyOf ?? [])].flat();
  for (const { properties = {} } of [schema, ...inside.filter((part) => typeof part === 'object')]) {
    for (const [name, property] of Object.entries(properties)) {
      if (typeof property === 'object') describe(property, descriptions, [...path, name]);
    }
  }
}
