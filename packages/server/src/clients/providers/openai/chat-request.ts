import type { ProviderRequest } from '../provider.ts';

export const openAiBaseUrl = 'https://api.openai.com/v1';

/** A `param` of an upstream's error that can be left out, or asked for under its other name. */
export function isDispensable(param: string): boolean {
  return ['temperature', 'top_p', 'stream_options', 'max_tokens', 'max_completion_tokens'].includes(param);
}

/**
 * The body of a call.
 * @param refused Parameters that this model has refused before: the limit is then sent under its other name (or not
 * at all when both were refused), the others are left out.
 */
export function chatRequest(request: ProviderRequest, baseUrl: string, refused: ReadonlySet<string>): string {
  const { messages, parameters, maxTokens, model } = request;
  // OpenAI's newer models know only the long name, other servers often only the short one.
  const names = ['max_completion_tokens', 'max_tokens'];
  if (new URL(baseUrl).hostname !== new URL(openAiBaseUrl).hostname) names.reverse();
  const limitName = names.find((name) => !refused.has(name));
  return JSON.stringify({
    model: model.providerModel,
    messages,
    stream: true,
    stream_options: refused.has('stream_options') ? undefined : { include_usage: true },
    temperature: refused.has('temperature') ? undefined : parameters.temperature,
    top_p: refused.has('top_p') ? undefined : parameters.topP,
    ...(limitName !== undefined && { [limitName]: maxTokens }),
  });
}
