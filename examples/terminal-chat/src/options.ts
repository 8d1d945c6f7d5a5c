import type { Options } from '@chat-service/terminal/options';

/** `session` is the one to continue; a new one otherwise. */
export type ChatOptions = Options<(typeof flags)[number]>;

export const flags = ['model'] as const;

export const usage = `Usage: terminal-chat --token <token> [--url <url>] [--session <id>] [--model <id>]

  --url      address of the service            (or CHAT_URL; default http://127.0.0.1:3000)
  --token    token of the user who chats       (or CHAT_TOKEN)
  --session  continue this session             (default: a new one)
  --model    model that answers                (default: the session's)
  --help     show this

Each line is a message. Ctrl-C stops the answer that is being written; a second one, or one
while nothing is being written, leaves. Lines may be piped in: answers go to standard output.
`;
