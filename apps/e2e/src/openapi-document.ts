/** A JSON Schema, as far as requests are made up from it. */
export interface DocumentSchema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly pattern?: string;
  readonly enum?: readonly string[];
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly items?: DocumentSchema;
  readonly properties?: Readonly<Record<string, DocumentSchema>>;
  readonly propertyNames?: DocumentSchema;
  readonly additionalProperties?: boolean | DocumentSchema;
  readonly anyOf?: readonly DocumentSchema[];
}

export interface DocumentParameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly schema: DocumentSchema;
}

export interface DocumentAnswer {
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly content?: Readonly<Record<string, { readonly schema: DocumentSchema }>>;
}

export interface DocumentOperation {
  readonly operationId: string;
  readonly path: string;
  readonly method: string;
  readonly tags: readonly string[];
  readonly isPublic: boolean;
  readonly parameters: readonly DocumentParameter[];
  /** Of the JSON body; null where there is none. */
  readonly body: DocumentSchema | null;
  readonly answers: Readonly<Record<string, DocumentAnswer>>;
  /** JSON pointer, as a fragment of a URI, to the schema of an answer. */
  pointer(status: number, mediaType: string): string;
}

/** An OpenAPI document as a client reads it. */
export interface ReadDocument {
  readonly operations: readonly DocumentOperation[];
  /** The schema itself, where it is named elsewhere. */
  resolve(schema: DocumentSchema): DocumentSchema;
}

interface RawOperation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly security?: readonly unknown[];
  readonly parameters?: readonly { readonly $ref: string }[];
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly schema: DocumentSchema } } };
  readonly responses: Readonly<Record<string, DocumentAnswer & { readonly $ref?: string }>>;
}

export function readDocument(document: object): ReadDocument {
  const at = (pointer: string): unknown => {
    let value: unknown = document;
    for (const part of pointer.slice(2).split('/')) {
      const name = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
      value = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
    }
    if (value === undefined) throw new Error(`The document has no ${pointer}.`);
    return value;
  };
  const paths = at('#/paths') as Record<string, Record<string, RawOperation>>;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, raw]): DocumentOperation => {
      const places = Object.entries(raw.responses).map(([status, answer]) => {
        const place = answer.$ref ?? `#/paths/${escaped(path)}/${method}/responses/${status}`;
        return [status, place] as const;
      });
      const byStatus = new Map(places);
      return {
        operationId: raw.operationId,
        path,
        method: method.toUpperCase(),
        tags: raw.tags,
        isPublic: raw.security?.length === 0,
        parameters: (raw.parameters ?? []).map(({ $ref }) => at($ref) as DocumentParameter),
        body: raw.requestBody?.content['application/json'].schema ?? null,
        answers: Object.fromEntries(places.map(([status, place]) => [status, at(place) as DocumentAnswer])),
        pointer: (status, mediaType) => `${byStatus.get(String(status)) ?? ''}/content/${escaped(mediaType)}/schema`,
      };
    }),
  );
  return {
    operations,
    resolve: (schema) => (schema.$ref === undefined ? schema : { ...(at(schema.$ref) as DocumentSchema) }),
  };
}

function escaped(part: string): string {
  return part.replaceAll('~', '~0').replaceAll('/', '~1').replaceAll('{', '%7B').replaceAll('}', '%7D');
}
