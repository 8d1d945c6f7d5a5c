/** How a procedure shows on the REST door, beside what its schemas say. */
export interface RestDeclaration {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** With parameters in braces, each a field of the input: `/api/chat/sessions/{sessionId}`. */
  readonly path: string;
  /** In the OpenAPI document: a name for the operation, unique and in camel case. */
  readonly operationId: string;
  readonly tag: 'Sessions' | 'Messages' | 'Models' | 'Account' | 'Supervision' | 'System';
  readonly description?: string;
  /** Of success; 204 sends no body. @default 200 */
  readonly status?: 200 | 201 | 202 | 204;
  /** Path of what was made, with fields of the output in braces: the `Location` header. */
  readonly location?: string;
  /** The input's `idempotencyKey` comes in the header `Idempotency-Key`; `required` ones are made up where none is sent. */
  readonly idempotencyKey?: 'optional' | 'required';
  /**
   * Which requests of a path that several procedures share are this one's: those that accept no event stream, those that
   * go on after an event, or all others.
   */
  readonly when?: 'json' | 'resuming';
  /**
   * On a GET: the path has no HEAD, because already finding out what GET would answer has an effect. Everywhere else HEAD
   * is GET without what it would send. @default false
   */
  readonly withoutHead?: boolean;
}
