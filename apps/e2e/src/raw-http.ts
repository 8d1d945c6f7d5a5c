/** A call as bytes on the wire, without a client that could mend or batch it. */
export interface RawCall {
  readonly type: 'query' | 'mutation';
  readonly path: string;
  readonly input?: unknown;
  /** Sent as the body in the place of `input`. */
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Null sends no `Authorization`. */
  readonly token: string | null;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly result?: unknown;
  /** `error.data` of a refusal. */
  readonly refusal?: Record<string, unknown>;
}

/** Makes one tRPC call over HTTP. */
export async function callOverHttp(url: string, call: RawCall): Promise<RawAnswer> {
  const { type, path, input, token } = call;
  const wrapped = JSON.stringify({ json: input });
  const headers = { ...(token !== null && { authorization: `Bearer ${token}` }), ...call.headers };
  const response =
    type === 'query'
      ? await fetch(`${url}/trpc/${path}?input=${encodeURIComponent(wrapped)}`, { headers })
      : await fetch(`${url}/trpc/${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body: call.body ?? wrapped,
        });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, ...read(text) };
}

function read(text: string): Pick<RawAnswer, 'result' | 'refusal'> {
  const answer = JSON.parse(text) as {
    result?: { data: { json: unknown } };
    error?: { json: { data: Record<string, unknown> } };
  };
  if (answer.error !== undefined) return { refusal: answer.error.json.data };
  return { result: answer.result?.data.json };
}
