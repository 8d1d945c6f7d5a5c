import { parseArgs } from 'node:util';

export interface Options {
  readonly url: string;
  readonly token: string;
  /** The session to watch; otherwise one is chosen among those in which an answer is being written. */
  readonly session: string | undefined;
  /** For the audit log. */
  readonly reason: string | undefined;
}

export const usage = `Usage: watch-chats --token <token> [--url <url>] [--session <id>] [--reason <text>]

  --url      address of the service            (or CHAT_URL; default http://127.0.0.1:3000)
  --token    token of a supervisor             (or CHAT_TOKEN)
  --session  watch this session                (default: choose one that is live)
  --reason   why; kept in the audit log
  --help     show this

Without --session the live sessions are listed; type the number of one, or enter to look again.
What users and models write goes to standard output, everything else to standard error.
Ctrl-C leaves; the users and other watchers notice nothing of it.
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
        reason: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help === true) return 'help';
    const url = values.url ?? env['CHAT_URL'] ?? 'http://127.0.0.1:3000';
    const token = values.token ?? env['CHAT_TOKEN'] ?? '';
    if (!/^https?:$/u.test(URL.parse(url)?.protocol ?? '')) return { problem: `Not an http(s) address: ${url}` };
    if (token === '') return { problem: 'A token is needed: --token or CHAT_TOKEN' };
    return { url, token, session: values.session, reason: values.reason };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}
