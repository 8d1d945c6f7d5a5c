import type { ChatClient } from '@chat-service/client-sdk';
import { chooseSession } from './choose-session.ts';
import type { Options } from './options.ts';
import { createTranscript } from './transcript.ts';

export interface Terminal {
  readonly input: NodeJS.ReadStream;
  /** What users and models write. */
  readonly output: NodeJS.WriteStream;
  /** Everything else. */
  readonly notices: NodeJS.WriteStream;
}

/**
 * Watches a session until it is over, or until ctrl-C.
 *
 * @throws {ChatError} when it may not be watched, or cannot be any longer
 */
export async function watch(client: ChatClient, options: Options, terminal: Terminal): Promise<void> {
  const { reason } = options;
  const sessionId = options.session ?? (await chooseSession(client, options, terminal));
  if (sessionId === null) return;
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
  } finally {
    process.off('SIGINT', leave);
  }
}
