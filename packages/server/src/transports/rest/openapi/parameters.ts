import { z } from 'zod';
import { headerFields } from '../read-input.ts';
import { parametersOf, type RestRoute } from '../route-table.ts';
import { parameterDescriptions } from './descriptions.ts';
import { toFieldSchema } from './json-schemas.ts';
import { pascalCase, type Parameter } from './openapi-types.ts';

/** Where each field of a route's input is on the wire. */
export interface InputPlaces {
  /** By their name in the components. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  /** What is left for the body; null where none is taken. */
  readonly body: z.ZodObject | null;
}

export function placesOf({ declaration, input }: RestRoute): InputPlaces {
  const { method, path, idempotencyKey, when } = declaration;
  const takesBody = (method === 'POST' || method === 'PATCH') && when !== 'resuming';
  const inPath = new Set(parametersOf(path));
  const parameters = new Map<string, Parameter>();
  const body: Record<string, z.core.$ZodType> = {};
  const add = (component: string, name: string, place: Parameter['in'], field: z.core.$ZodType, required: boolean) =>
    parameters.set(component, {
      name,
      in: place,
      required,
      description: parameterDescriptions[component] ?? '',
      schema: toFieldSchema(field),
    });

  for (const [name, field] of Object.entries<z.core.$ZodType>(input.shape)) {
    const component = pascalCase(name);
    if (inPath.has(name)) add(component, name, 'path', field, true);
    else if (name === 'lastEventId') {
      add(component, headerFields.lastEventId, 'header', field, false);
      if (!takesBody && method === 'GET') add(`${component}Query`, name, 'query', field, false);
    } else if (name === 'idempotencyKey') {
      if (idempotencyKey !== undefined) add(component, headerFields.idempotencyKey, 'header', field, false);
    } else if (takesBody) body[name] = field;
    else add(component, name, 'query', field, !z.safeParse(field, undefined).success);
  }
  return { parameters, body: takesBody && Object.keys(body).length > 0 ? z.strictObject(body) : null };
}
