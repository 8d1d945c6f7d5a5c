import type { WireErrorData } from '@chat-service/shared/errors';
import { TRPCClientError } from '@trpc/client';

/** What the service said in refusing this call of the stock client. @throws when the call succeeds, or nobody answered */
export async function refusalOf(call: Promise<unknown>): Promise<WireErrorData> {
  const outcome = await call.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ('value' in outcome) throw new Error(`the call was to be refused, and answered ${JSON.stringify(outcome.value)}`);
  const { error } = outcome;
  if (error instanceof TRPCClientError && isWireErrorData(error.data)) return error.data;
  throw error;
}

function isWireErrorData(data: unknown): data is WireErrorData {
  return typeof data === 'object' && data !== null && 'code' in data && 'requestId' in data;
}
