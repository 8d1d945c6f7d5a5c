import { z } from 'zod';
import type { Schema } from './openapi-types.ts';

/**
 * `request`: closed, since unknown fields are refused. `answer`: open, since answers may gain fields.
 */
export type Direction = 'request' | 'answer';

/** JSON Schemas of all named zod schemas; where one holds another it refers to it by its name. */
export function toNamedSchemas(named: ReadonlyMap<string, z.ZodType>, direction: Direction): Record<string, Schema> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of named) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, {
    ...conversion(direction),
    uri: (id) => `#/components/schemas/${id}`,
  });
  return Object.fromEntries(
    Object.entries(schemas).map(([name, { $schema: _dialect, $id: _id, ...schema }]) => [name, schema]),
  );
}

/** The JSON Schema of one field of a request. */
export function toFieldSchema(field: z.core.$ZodType): Schema {
  const { $schema: _dialect, ...schema } = z.toJSONSchema(withoutAbsence(field), conversion('request'));
  return schema;
}

/** The schema itself below what makes it optional: in a URL or a header a value is there, or it is not. */
export function withoutAbsence(field: z.core.$ZodType): z.core.$ZodType {
  return field instanceof z.ZodOptional || field instanceof z.ZodNullable || field instanceof z.ZodDefault
    ? withoutAbsence(field.unwrap())
    : field;
}

function conversion(direction: Direction) {
  return {
    io: direction === 'request' ? 'input' : 'output',
    // Fields with a check of their own say what they are in their metadata.
    unrepresentable: 'any',
    override: ({ jsonSchema }: { jsonSchema: Schema }) => tidy(jsonSchema, direction),
  } as const;
}

function tidy(schema: Schema, direction: Direction): void {
  // A format says the same in fewer words than zod's pattern for it.
  if (schema.format !== undefined) delete schema.pattern;
  // What any integer of JavaScript is bounded by is no limit of ours.
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  if (schema.minLength === 0) delete schema.minLength;
  if (direction === 'answer' && schema.additionalProperties === false) delete schema.additionalProperties;
}
