import type { ChatClient } from '@chat-service/client-sdk';
import type { Terminal } from '@chat-service/terminal/terminal';
import { chooseSession } from './choose-session.ts';
import { explain } from './explain-error.ts';
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
  let connected = false;
  const observation = client.supervisor.observe(sessionId, {
    ...(reason !== undefined && { reason }),
    onReconnecting(attempt, error) {
      if (attempt !== 1) return;
      const what = connected ? 'connection lost, trying to get back' : 'not connected, trying again';
      transcript.note(`(${what}: ${explain(error, options.url)})`);
    },
  });
  const leave = () => observation.disconnect();
  process.on('SIGINT', leave);
  try {
    for await (const event of observation) {
      connected = true;
      transcript.add(event, observation.state);
    }
    transcript.end();
    return 0;
  } finally {
    process.off('SIGINT', leave);
  }
}
