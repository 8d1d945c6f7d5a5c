import { ServiceError } from './service-error.ts';

/**
 * A stream that cannot go on and whose end cannot be told for now: its connection is closed, so that the client comes
 * back and resumes. Said as an error, it would end the client's subscription for good.
 */
export class ConnectionSevered extends ServiceError {
  constructor(cause?: unknown) {
    super('UNAVAILABLE', { cause });
  }
}
