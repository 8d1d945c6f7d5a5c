import type { Clock } from '../../../platform/clock.ts';
import type { Logger } from '../../../platform/logger.ts';
import { AttemptFailure, type Attempt, type AttemptEvent } from '../attempt.ts';
import { createGuardedProvider } from '../guarded-provider.ts';
import type { Provider, ProviderModel } from '../provider.ts';
import { createTextRepair } from '../storable-text.ts';
import { readChatChunk } from './chat-chunk.ts';
import { chatRequest, isDispensable, openAiBaseUrl } from './chat-request.ts';
import { networkFailure, readJson, refusedParameter, statusFailure } from './failed-call.ts';
import { readChatStream } from './read-chat-stream.ts';

export interface OpenAiProviderOptions {
  /** `OPENAI_API_KEY`. */
  readonly apiKey: string | undefined;
  /** `OPENAI_BASE_URL`. @default https://api.openai.com/v1 */
  readonly baseUrl?: string | undefined;
  /** Looks up the variable that a model's `apiKeyEnv` names. */
  readonly lookUp: (name: string) => string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** @default globalThis.fetch */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** From 0 to 1, for the jitter of retries. @default Math.random */
  readonly random?: (() => number) | undefined;
}

/** Where a model is called, and with which key; null for a server that needs none. */
interface Endpoint {
  readonly baseUrl: string;
  readonly apiKey: string | null;
}

/** Chat Completions of OpenAI and of every server that speaks it. Never logs a prompt, an answer or a key. */
export function createOpenAiProvider(options: OpenAiProviderOptions): Provider {
  const { clock, logger, random, fetch = globalThis.fetch } = options;
  const ownBaseUrl = options.baseUrl ?? openAiBaseUrl;
  /** By circuit: what a model has refused once is not sent to it again. */
  const refusals = new Map<string, Set<string>>();

  const circuitKey = (model: ProviderModel) =>
    JSON.stringify([model.baseUrl ?? ownBaseUrl, model.providerModel, model.apiKeyEnv ?? null]);

  /** The endpoint, or the name of the variable that is missing. The provider's own key never goes to another host. */
  function endpointOf({ baseUrl, apiKeyEnv }: ProviderModel): Endpoint | string {
    const address = (baseUrl ?? ownBaseUrl).replace(/\/+$/, '');
    if (apiKeyEnv === undefined && baseUrl !== undefined) return { baseUrl: address, apiKey: null };
    const name = apiKeyEnv ?? 'OPENAI_API_KEY';
    const apiKey = (apiKeyEnv === undefined ? options.apiKey : options.lookUp(apiKeyEnv))?.trim() ?? '';
    return apiKey === '' ? name : { baseUrl: address, apiKey };
  }

  const attempt: Attempt = async (request, signal) => {
    const endpoint = endpointOf(request.model);
    if (typeof endpoint === 'string') throw new AttemptFailure(`${endpoint} is not set`);
    const key = circuitKey(request.model);
    const refused = refusals.get(key) ?? new Set<string>();
    refusals.set(key, refused);

    for (;;) {
      const response = await send(
        endpoint,
        chatRequest(request, endpoint.baseUrl, refused),
        request.generationId,
        signal,
      );
      if (response.ok) {
        const isJson = /^application\/([\w.+-]+\+)?json\b/i.test(response.headers.get('content-type') ?? '');
        if (response.body === null) throw new AttemptFailure('the answer is empty');
        return isJson ? [wholeAnswer(await readJson(response))] : readChatStream(response.body);
      }
      const body = await readJson(response);
      const parameter = refusedParameter(response.status, body);
      if (parameter === null || !isDispensable(parameter) || refused.has(parameter)) {
        throw statusFailure(response, body, clock);
      }
      refused.add(parameter);
      logger.info(
        { providerModel: request.model.providerModel, parameter },
        'A model refuses a parameter; it is left out.',
      );
    }
  };

  async function send(endpoint: Endpoint, body: string, generationId: string, signal: AbortSignal): Promise<Response> {
    const headers = {
      'content-type': 'application/json',
      accept: 'text/event-stream',
      'x-client-request-id': generationId,
      ...(endpoint.apiKey !== null && { authorization: `Bearer ${endpoint.apiKey}` }),
    };
    try {
      // A redirect would turn the call into a GET, or carry the prompt to a host that nobody configured.
      const url = `${endpoint.baseUrl}/chat/completions`;
      return await fetch(url, { method: 'POST', headers, body, signal, redirect: 'manual' });
    } catch (error) {
      throw networkFailure(error);
    }
  }

  return createGuardedProvider({
    attempt,
    missingVariable(model) {
      const endpoint = endpointOf(model);
      return typeof endpoint === 'string' ? endpoint : null;
    },
    circuitKey,
    clock,
    logger,
    random,
  });
}

/** The answer of a server that does not stream although it was asked to. */
function wholeAnswer(body: unknown): AttemptEvent[] {
  const { text, finish, usage, error } = readChatChunk(body, 'message');
  if (error !== null) throw new AttemptFailure(`the answer is an error: ${error}`);
  if (finish === null) throw new AttemptFailure('the answer has no finish reason');
  const repair = createTextRepair();
  const storable = repair.push(text) + repair.flush();
  return [
    ...(storable === '' ? [] : [{ type: 'text' as const, text: storable }]),
    ...(usage === null ? [] : [{ type: 'usage' as const, usage }]),
    { type: 'finish', reason: finish },
  ];
}
