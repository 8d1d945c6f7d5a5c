import type { AnyTRPCRouter } from '@trpc/server';
import { z } from 'zod';
import type { RestDeclaration } from '../../trpc/rest-declaration.ts';

export type ProcedureType = 'query' | 'mutation' | 'subscription';

/** One way to a procedure on the REST door. */
export interface RestRoute {
  /** Dotted path of the procedure. */
  readonly procedure: string;
  readonly type: ProcedureType;
  readonly declaration: RestDeclaration;
  readonly summary: string;
  readonly isPublic: boolean;
  /** The procedure's own input schema; an empty object where it takes none. */
  readonly input: z.ZodObject;
  readonly output: z.ZodType | null;
}

export interface RouteMatch {
  /** All routes of the path and method: which one it is depends on the request's headers. */
  readonly routes: readonly RestRoute[];
  readonly parameters: Readonly<Record<string, string>>;
}

export interface RouteTable {
  readonly routes: readonly RestRoute[];
  /** `methods` are those that the path knows, HEAD among them; empty for an unknown path. */
  match(method: string, path: string): { readonly match: RouteMatch | null; readonly methods: readonly string[] };
}

interface PathEntry {
  readonly segments: readonly string[];
  readonly byMethod: Map<string, RestRoute[]>;
}

/** The routes that the procedures of a router declare. @throws Error for a declaration that cannot be served */
export function createRouteTable(router: AnyTRPCRouter): RouteTable {
  const routes = readRoutes(router);
  const paths = new Map<string, PathEntry>();
  for (const route of routes) {
    const { path } = route.declaration;
    const entry = paths.get(path) ?? { segments: path.split('/').slice(1), byMethod: new Map<string, RestRoute[]>() };
    paths.set(path, entry);
    for (const method of methodsOf(route.declaration)) {
      entry.byMethod.set(method, [...(entry.byMethod.get(method) ?? []), route]);
    }
  }
  // Literal segments win over parameters: `/users/search` is not a user called "search".
  const entries = [...paths.values()].toSorted((a, b) => parameterCount(a) - parameterCount(b));
  return {
    routes,
    match(method, path) {
      const segments = path.split('/').slice(1);
      for (const { segments: pattern, byMethod } of entries) {
        const parameters = matchSegments(pattern, segments);
        if (parameters === null) continue;
        const found = byMethod.get(method);
        return { match: found === undefined ? null : { routes: found, parameters }, methods: [...byMethod.keys()] };
      }
      return { match: null, methods: [] };
    },
  };
}

function methodsOf({ method, withoutHead = false }: RestDeclaration): readonly string[] {
  return method === 'GET' && !withoutHead ? [method, 'HEAD'] : [method];
}

const parameterPattern = /^\{(\w+)\}$/u;

function parameterCount({ segments }: PathEntry): number {
  return segments.filter((segment) => parameterPattern.test(segment)).length;
}

/** Names of the parameters in a declared path. */
export function parametersOf(path: string): string[] {
  return path.split('/').flatMap((segment) => parameterPattern.exec(segment)?.[1] ?? []);
}

function matchSegments(pattern: readonly string[], segments: readonly string[]): Record<string, string> | null {
  if (pattern.length !== segments.length) return null;
  const parameters: Record<string, string> = {};
  for (const [index, expected] of pattern.entries()) {
    const given = decode(segments[index] ?? '');
    if (given === null) return null;
    const name = parameterPattern.exec(expected)?.[1];
    if (name === undefined ? given !== expected : given === '') return null;
    if (name !== undefined) parameters[name] = given;
  }
  return parameters;
}

function decode(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}

interface ProcedureDefinition {
  readonly type: ProcedureType;
  readonly meta?: {
    readonly summary: string;
    readonly access?: 'public';
    readonly rest?: RestDeclaration | readonly RestDeclaration[];
  };
  readonly inputs: readonly unknown[];
  readonly output?: unknown;
}

function readRoutes(router: AnyTRPCRouter): RestRoute[] {
  // tRPC types a router's procedures as any; what is read of them is what our own builders put there.
  const procedures = router._def.procedures as Record<string, { _def: ProcedureDefinition }>;
  return Object.entries(procedures).flatMap(([procedure, { _def: definition }]) => {
    const { meta, type, inputs } = definition;
    const declarations = meta?.rest === undefined ? [] : [meta.rest].flat();
    return declarations.map((declaration) => ({
      procedure,
      type,
      declaration,
      summary: meta?.summary ?? '',
      isPublic: meta?.access === 'public',
      input: inputObject(procedure, inputs),
      output: definition.output instanceof z.ZodType ? definition.output : null,
    }));
  });
}

function inputObject(procedure: string, inputs: readonly unknown[]): z.ZodObject {
  const [first] = inputs;
  const schema = first instanceof z.ZodOptional ? first.unwrap() : first;
  if (schema === undefined) return z.strictObject({});
  if (schema instanceof z.ZodObject) return schema;
  throw new Error(`The input of ${procedure} is no object: it cannot be on the REST door.`);
}
