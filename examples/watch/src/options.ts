import type { Options } from '@chat-service/terminal/options';

/** `session` is the one to watch; otherwise one is chosen among those in which an answer is being written. */
export type WatchOptions = Options<(typeof flags)[number]>;

/** The reason is for the audit log. */
export const flags = ['reason'] as const;

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
