import type { MessageSnapshot, ObservationState, ObservationStreamEvent } from '@chat-service/client-sdk';
import { oneLine } from '@chat-service/terminal/plain-text';
import type { Terminal } from '@chat-service/terminal/terminal';

/** Of a message's further lines, so that none can pass for another message or for a note. */
const indentation = '  ';

const endings: Readonly<Record<string, string>> = {
  token: 'the token has ended',
  role: 'the token is of a user who may not watch any more',
  unavailable: 'the service cannot keep a record of the look at the moment',
};

/** An observation as a running text. */
export interface Transcript {
  /** Shows what the event has changed. */
  add(event: ObservationStreamEvent, state: ObservationState): void;
  /** A line beside the text. */
  note(words: string): void;
  /** Ends the last line. */
  end(): void;
}

export function createTranscript({ output, notices }: Pick<Terminal, 'output' | 'notices'>): Transcript {
  /** The message whose line is still open. */
  let open: string | null = null;
  let begun = false;
  /** What has been shown of each message: it may be told again. */
  const shown = new Map<string, string>();

  function end(): void {
    if (open !== null) output.write('\n');
    open = null;
  }

  function note(words: string): void {
    end();
    notices.write(`${words}\n`);
  }

  /** Writes what is new of a message, on its own line where another one, or a note, has come in between. */
  function show({ id, role, content }: MessageSnapshot): void {
    const before = shown.get(id) ?? '';
    if (content === before) return;
    const isMore = before !== '' && content.startsWith(before);
    const isAnew = open !== id || !isMore;
    if (isAnew) end();
    const start = isMore ? indentation : `${role}> `;
    const text = isMore ? content.slice(before.length) : content;
    output.write(`${isAnew ? start : ''}${text.replaceAll('\n', `\n${indentation}`)}`);
    open = id;
    shown.set(id, content);
  }

  function stand(event: Extract<ObservationStreamEvent, { type: 'observer' }>, { user }: ObservationState): void {
    if (event.status === 'ended') return note(`(ended: ${endings[event.reason] ?? event.reason})`);
    const watching = event.observers === 1 ? 'nobody else is watching' : `${event.observers} are watching`;
    if (event.status !== 'connected') return note(`(${event.status}, ${watching})`);
    const name = oneLine(user?.username ?? user?.id ?? 'a user');
    note(`session ${event.session.id} of ${name} (${event.session.status}, ${watching})`);
  }

  return {
    note,
    end,
    add(event, state) {
      switch (event.type) {
        case 'observer':
          return stand(event, state);
        case 'history-start':
          if (begun) note('(something was missed: all over again)');
          begun = true;
          shown.clear();
          if (event.total > event.count) note(`(${event.total - event.count} older messages)`);
          return;
        case 'history-end':
          return end();
        case 'session-updated':
          return note(`(the session is now “${oneLine(event.session.title ?? '')}”)`);
        case 'session-deleted':
          return note('(the session was deleted)');
        case 'message-deleted':
          return note(`(message ${event.messageId} was deleted)`);
        case 'message':
          show(event.message);
          return end();
        case 'done':
          show(event.message);
          end();
          if (event.finishReason !== 'stop') note(`(${event.finishReason}${byWhom(event.message)})`);
          return;
        case 'error':
          show(event.message);
          return note(`(failed: ${event.error.code})`);
        case 'start':
        case 'chunk':
        case 'resync': {
          const message = state.messages.find(({ id }) => id === event.streamId);
          if (message !== undefined) show(message);
          return;
        }
        default:
          // A newer server may send more than this version shows.
          return;
      }
    },
  };
}

function byWhom({ stoppedBy }: MessageSnapshot): string {
  return stoppedBy === null ? '' : ` by the ${stoppedBy}`;
}
