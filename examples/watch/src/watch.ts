import type { ChatClient } from '@chat-service/client-sdk';
import type { Terminal } from '@chat-service/terminal/terminal';
import { chooseSession } from './choose-session.ts';
import type { WatchOptions } from './options.ts';
import { createTranscript } from './transcript.ts';

/**
 * Watches a session until it is over, or until ctrl-C. Returns the exit code: 0 either way.
 *
 * @throws {ChatError} when it may not be watched, or cannot be any longer
 */
export async function watch(client: ChatClient, options: WatchOptions, terminal: Terminal): Promise<number> {
  const { reason } = options;
  const sessionId = options.session ?? (await chooseSession(client, options, terminal));
  if (sessionId === null) return 0;
  const transcript = createTranscript(terminal);
  const observation = client.supervisor.observe(sessionId, {
    ...(reason !== undefined && { reason }),
    onReconnecting: (attempt) => {
      if (attempt === 1) transcript.note('(connection lost, trying to get back)');
    },
  });
  const leave = () => observation.disconnect();
  process.on('SIGINT', leave);
  try {
    for await (const event of observation) transcript.add(event, observation.state);
    transcript.end();
    return 0;
  } finally {
    process.off('SIGINT', leave);
  }
}
