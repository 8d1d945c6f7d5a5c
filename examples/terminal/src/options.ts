import { parseArgs } from 'node:util';

/** What every program is told, and flags of its own, each with a text. */
export type Options<Flag extends string> = {
  readonly url: string;
  readonly token: string;
  /** Id of the session that is meant. */
  readonly session: string | undefined;
} & { readonly [Name in Flag]: string | undefined };

/** Flags win over the environment. */
export function readOptions<Flag extends string>(
  argv: string[],
  env: Record<string, string | undefined>,
  flags: readonly Flag[],
): Options<Flag> | 'help' | { readonly problem: string } {
  const text = { type: 'string' } as const;
  const texts = Object.fromEntries(flags.map((name) => [name, text]));
  const options = { ...texts, url: text, token: text, session: text, help: { type: 'boolean', short: 'h' } } as const;
  try {
    const { values } = parseArgs({ args: argv, options });
    const { help, session, ...rest } = values;
    if (help === true) return 'help';
    const { url = env['CHAT_URL'] ?? 'http://127.0.0.1:3000', token = env['CHAT_TOKEN'] ?? '', ...own } = rest;
    if (!/^https?:$/u.test(URL.parse(url)?.protocol ?? '')) return { problem: `Not an http(s) address: ${url}` };
    if (token === '') return { problem: 'A token is needed: --token or CHAT_TOKEN' };
    return { ...(own as Record<Flag, string | undefined>), url, token, session };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}
