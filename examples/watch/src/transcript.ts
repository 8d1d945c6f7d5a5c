import type { MessageSnapshot, ObservationState, ObservationStreamEvent } from '@chat-service/client-sdk';
import type { Terminal } from './watch.ts';

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
  /** The message whose line is still open, and what is there of it. */
  let open: { readonly id: string; text: string } | null = null;
  let begun = false;
  /** What was shown last of each message: it may be told again. */
  const shown = new Map<string, string>();

  function end(): void {
    if (open !== null) output.write('\n');
    open = null;
  }

  function note(words: string): void {
    end();
    notices.write(`${words}\n`);
  }

  function show({ id, role, content }: MessageSnapshot): void {
    const appends = open?.id === id && content.startsWith(open.text);
    if (!appends) {
      end();
      output.write(`${role}> `);
    }
    output.write(appends ? content.slice(open?.text.length) : content);
    open = { id, text: content };
    shown.set(id, content);
  }

  function stand(event: Extract<ObservationStreamEvent, { type: 'observer' }>, { user }: ObservationState): void {
    if (event.status === 'ended') return note(`(ended: ${event.reason})`);
    const watching = event.observers === 1 ? 'nobody else is watching' : `${event.observers} are watching`;
    if (event.status !== 'connected') return note(`(${event.status}, ${watching})`);
    note(
      `session ${event.session.id} of ${user?.username ?? user?.id ?? 'a user'} (${event.session.status}, ${watching})`,
    );
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
          return note(`(the session is now “${event.session.title ?? ''}”)`);
        case 'session-deleted':
          return note('(the session was deleted)');
        case 'message-deleted':
          return note(`(message ${event.messageId} was deleted)`);
        case 'message':
          if (shown.get(event.message.id) === event.message.content) return;
          show(event.message);
          return end();
        case 'done':
          show(event.message);
          end();
          if (event.finishReason !== 'stop') note(`(${event.finishReason}${byWhom(event.message)})`);
          return;
        case 'error':
          if (event.message.content !== '') show(event.message);
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
