import { createInterface, type Interface } from 'node:readline';
import { DisconnectedError, NothingToFollowError, type ChatClient, type MessageStream } from '@chat-service/client-sdk';
import type { Terminal } from '@chat-service/terminal/terminal';
import { explain } from './explain-error.ts';
import type { ChatOptions } from './options.ts';

const interrupted = 130;

/**
 * Chats until the input ends, line by line. Returns the exit code: 0, or 130 when it was interrupted.
 *
 * @throws {ChatError} when the session cannot be opened, and at the first failure of a chat that is piped in
 */
export async function chat(client: ChatClient, options: ChatOptions, terminal: Terminal): Promise<number> {
  const { input, output, notices } = terminal;
  const interactive = input.isTTY && output.stream.isTTY;
  const { sessionId, running } = await openSession(client, options);
  notices.write(`session ${sessionId}\n`);

  let answer: MessageStream | null = null;
  let stopping = false;
  let code = 0;
  const lines: Interface = createInterface({ input, ...(interactive && { output: output.stream, prompt: '> ' }) });
  // Made at once: lines that come before someone listens are lost.
  const messages = lines[Symbol.asyncIterator]();
  const interrupt = () => {
    if (answer === null || stopping) {
      code = interrupted;
      answer?.disconnect();
      lines.close();
      return;
    }
    stopping = true;
    notices.write('\n(stopping; once more to leave)\n');
    // A stop that fails is told by the answer, which then goes on.
    answer.abort().catch((error: unknown) => notices.write(`${explain(error, options.url)}\n`));
  };
  // A terminal hands ctrl-C to readline, anything else signals the process.
  lines.on('SIGINT', interrupt);
  process.on('SIGINT', interrupt);

  const show = async (stream: MessageStream) => {
    answer = stream;
    stopping = false;
    try {
      await print(stream, terminal);
    } catch (error) {
      const leftOrOver = error instanceof DisconnectedError || error instanceof NothingToFollowError;
      if (leftOrOver) return;
      if (!interactive) throw error;
      notices.write(`${explain(error, options.url)}\n`);
    } finally {
      answer = null;
    }
  };

  try {
    if (running !== null) await show(client.messages.follow({ sessionId, streamId: running }));
    if (interactive) lines.prompt();
    for await (const line of messages) {
      const message = line.trim();
      if (message !== '') {
        const model = options.model === undefined ? {} : { modelId: options.model };
        await show(client.messages.stream({ sessionId, message, ...model }));
      }
      if (code === interrupted) break;
      if (interactive) lines.prompt();
    }
    return code;
  } finally {
    process.off('SIGINT', interrupt);
    lines.close();
  }
}

/** The session, and the generation that runs in it already. */
async function openSession(
  client: ChatClient,
  { session: known, model }: ChatOptions,
): Promise<{ sessionId: string; running: string | null }> {
  if (known !== undefined) {
    const { session } = await client.sessions.get({ sessionId: known, messageLimit: 1 });
    return { sessionId: session.id, running: session.activeStreamId };
  }
  const { sessionId } = await client.sessions.create({
    source: 'terminal-chat',
    ...(model !== undefined && { modelId: model }),
  });
  return { sessionId, running: null };
}

/** Writes the answer as it comes. */
async function print(stream: MessageStream, { output, notices }: Terminal): Promise<void> {
  stream.on('text', ({ delta, reset }) => output.write(reset ? `\n${delta}` : delta));
  stream.on('reconnecting', ({ attempt }) => {
    if (attempt === 1) notices.write('\n(connection lost, trying to get back)\n');
  });
  let watching = 0;
  stream.on('observed', ({ observers }) => {
    if (observers !== watching) notices.write(`\n(${whoWatches(observers)})\n`);
    watching = observers;
  });
  try {
    const { status, stoppedBy } = await stream.finalMessage();
    output.write('\n');
    if (status === 'stopped') notices.write(stoppedBy === 'supervisor' ? '(stopped by a supervisor)\n' : '(stopped)\n');
  } catch (error) {
    if (stream.message !== null) output.write('\n');
    throw error;
  }
}

function whoWatches(observers: number): string {
  if (observers === 0) return 'nobody is watching any more';
  return observers === 1 ? 'a supervisor is watching' : `${observers} supervisors are watching`;
}
