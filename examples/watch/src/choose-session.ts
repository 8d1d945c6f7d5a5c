import { createInterface } from 'node:readline';
import type { ChatClient, LiveSession } from '@chat-service/client-sdk';
import { oneLine } from '@chat-service/terminal/plain-text';
import type { Terminal } from '@chat-service/terminal/terminal';
import type { WatchOptions } from './options.ts';

/** Lists the live sessions until one is chosen by its number; null when the input ends, or with ctrl-C. */
export async function chooseSession(
  client: ChatClient,
  { reason }: WatchOptions,
  { input, notices }: Terminal,
): Promise<string | null> {
  const lines = createInterface({ input, output: notices.stream, terminal: input.isTTY });
  // Made at once: lines that come before someone listens are lost.
  const answers = lines[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { sessions } = await client.supervisor.live(reason === undefined ? {} : { reason });
      const listed = sessions.map(describe).join('');
      notices.write(listed === '' ? 'Nothing is being written now. Enter looks again.\n' : `${listed}Number? `);
      const answer = await answers.next();
      if (answer.done === true) return null;
      const number = answer.value.trim();
      const chosen = sessions[Number(number) - 1];
      if (chosen !== undefined) return chosen.session.id;
      if (number !== '') notices.write(`There is no number ${number}.\n`);
    }
  } finally {
    lines.close();
  }
}

function describe({ session, user, modelId, outputTokens, observers }: LiveSession, index: number): string {
  const title = session.title === null ? '' : ` “${oneLine(session.title)}”`;
  const watched = observers === 0 ? '' : `, ${observers} watching`;
  const name = oneLine(user.username ?? user.id);
  return `${index + 1}  ${name}${title}: ${modelId}, ${outputTokens} tokens${watched}\n`;
}
