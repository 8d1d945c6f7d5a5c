import type { RestRoute } from '../route-table.ts';
import { createProblemComponents } from './answers.ts';
import { createSchemaComponents } from './components.ts';
import { introduction, tagDescriptions } from './descriptions.ts';
import { fixedPaths } from './fixed-operations.ts';
import { headers } from './headers.ts';
import type { OpenApiDocument, Operation, Parameter } from './openapi-types.ts';
import { operationOf } from './operations.ts';

export interface DocumentOptions {
  readonly routes: readonly RestRoute[];
  /** Of the service. */
  readonly version: string;
}

/**
 * The OpenAPI document of the REST door, from what the procedures declare and from their own schemas.
 * @throws Error for declarations that contradict one another
 */
export function createOpenApiDocument({ routes, version }: DocumentOptions): OpenApiDocument {
  const schemas = createSchemaComponents();
  const problems = createProblemComponents();
  const parameters = new Map<string, Parameter>();
  const paths: Record<string, Record<string, Operation>> = {};
  for (const [first, ...others] of byPathAndMethod(routes)) {
    const { path, method } = first.declaration;
    const operation = operationOf([first, ...others], { schemas, problems, parameters });
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Chat Service',
      version,
      description: introduction,
      contact: { name: 'The operator of this service' },
      license: { name: 'Proprietary', identifier: 'LicenseRef-Proprietary' },
    },
    servers: [{ url: '/', description: 'The host that serves this document.' }],
    security: [{ bearer: [] }],
    tags: Object.entries(tagDescriptions).map(([name, description]) => ({ name, description })),
    paths: { ...paths, ...fixedPaths(problems) },
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'A token of the Auth Service.' },
      },
      parameters: Object.fromEntries([...parameters].toSorted(([a], [b]) => (a < b ? -1 : 1))),
      headers,
      responses: problems.build(),
      schemas: schemas.build(),
    },
  };
}

function byPathAndMethod(routes: readonly RestRoute[]): (readonly [RestRoute, ...RestRoute[]])[] {
  const grouped = new Map<string, [RestRoute, ...RestRoute[]]>();
  for (const route of routes) {
    const key = `${route.declaration.path} ${route.declaration.method}`;
    const group = grouped.get(key);
    if (group === undefined) grouped.set(key, [route]);
    else group.push(route);
  }
  return [...grouped.values()];
}
