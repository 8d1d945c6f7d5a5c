import { parseArgs } from 'node:util';

export interface Options {
  readonly url: string;
  readonly token: string;
  /** The session to continue; a new one otherwise. */
  readonly session: string | undefined;
  readonly model: string | undefined;
}

export const usage = `Usage: terminal-chat --token <token> [--url <url>] [--session <id>] [--model <id>]

  --url      address of the service            (or CHAT_URL; default http://127.0.0.1:3000)
  --token    token of the user who chats       (or CHAT_TOKEN)
  --session  continue this session             (default: a new one)
  --model    model that answers                (default: the session's)
  --help     show this

Each line is a message. Ctrl-C stops the answer that is being written; a second one, or one
while nothing is being written, leaves. Lines may be piped in: answers go to standard output.
`;

/** Flags win over the environment. */
export function readOptions(
  argv: string[],
  env: Record<string, string | undefined>,
): Options | 'help' | { readonly problem: string } {
  try {
    const { values } = parseArgs({
      args: argv,
      options: {
        url: { type: 'string' },
        token: { type: 'string' },
        session: { type: 'string' },
        model: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help === true) return 'help';
    const url = values.url ?? env['CHAT_URL'] ?? 'http://127.0.0.1:3000';
    const token = values.token ?? env['CHAT_TOKEN'] ?? '';
    if (!/^https?:$/u.test(URL.parse(url)?.protocol ?? '')) return { problem: `Not an http(s) address: ${url}` };
    if (token === '') return { problem: 'A token is needed: --token or CHAT_TOKEN' };
    return { url, token, session: values.session, model: values.model };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}
