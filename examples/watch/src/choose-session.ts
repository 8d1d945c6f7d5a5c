import { createInterface } from 'node:readline/promises';
import type { ChatClient, LiveSession } from '@chat-service/client-sdk';
import type { Options } from './options.ts';
import type { Terminal } from './watch.ts';

/** Lists the live sessions until one is chosen by its number; null when the input ends, or with ctrl-C. */
export async function chooseSession(
  client: ChatClient,
  { reason }: Options,
  { input, notices }: Terminal,
): Promise<string | null> {
  const lines = createInterface({ input, output: notices, terminal: input.isTTY });
  const ended = Promise.withResolvers<null>();
  lines.once('close', () => ended.resolve(null));
  try {
    for (;;) {
      const { sessions } = await client.supervisor.live(reason === undefined ? {} : { reason });
      notices.write(sessions.length === 0 ? 'Nothing is being written now.\n' : sessions.map(describe).join(''));
      const answer = await Promise.race([
        lines.question(sessions.length === 0 ? 'Enter looks again: ' : 'Number, or enter to look again: '),
        ended.promise,
      ]);
      if (answer === null) return null;
      const chosen = sessions[Number(answer) - 1];
      if (chosen !== undefined) return chosen.session.id;
      if (answer.trim() !== '') notices.write(`There is no number ${answer.trim()}.\n`);
    }
  } finally {
    lines.close();
  }
}

function describe({ session, user, modelId, outputTokens, observers }: LiveSession, index: number): string {
  const title = session.title === null ? '' : ` “${session.title}”`;
  const watched = observers === 0 ? '' : `, ${observers} watching`;
  return `${index + 1}  ${user.username ?? user.id}${title}: ${modelId}, ${outputTokens} tokens${watched}\n`;
}
