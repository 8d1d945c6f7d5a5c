import type { LiveSink } from '../platform/live-sink.ts';
import { textFrame } from './ws-text-frame.ts';
import { longestFrameBytes, type WsWriter } from './ws-writer.ts';

/** What the reply to one event says to all, and its frames by what comes before that. */
interface Prepared {
  readonly id: string;
  readonly event: object;
  readonly tail: string;
  readonly frames: Map<string, Buffer>;
}

/** The event that is being sent: all who watch are told of it in one turn, so that one is enough to remember. */
let prepared: Prepared | null = null;

function prepare(id: string, event: object): Prepared {
  if (prepared?.event === event && prepared.id === id) return prepared;
  const quoted = JSON.stringify(id);
  const data = `{"json":{"id":${quoted},"data":${JSON.stringify(event)}}}`;
  const fresh = { id, event, tail: `"result":{"type":"data","id":${quoted},"data":${data}}}`, frames: new Map() };
  prepared = fresh;
  // Nothing of what is deleted may stay behind here.
  setImmediate(() => {
    if (prepared === fresh) prepared = null;
  });
  return fresh;
}

/** What tRPC's replies to a call begin with. */
export function replyHead({ id, jsonrpc }: { readonly id: number | string; readonly jsonrpc?: '2.0' }): string {
  return `{"id":${JSON.stringify(id)},${jsonrpc === undefined ? '' : `"jsonrpc":"${jsonrpc}",`}`;
}

/** Sends a subscription's events as tRPC would, each serialised once for all who are sent it. */
export function createWsLiveSink(head: string, writer: WsWriter, isSilent: () => boolean): LiveSink {
  return {
    write(id, event) {
      if (isSilent() || !writer.hasRoom) return false;
      const { tail, frames } = prepare(id, event);
      let frame = frames.get(head);
      if (frame === undefined) {
        frame = textFrame(head + tail);
        frames.set(head, frame);
      }
      if (frame.length > longestFrameBytes) return false;
      writer.sendFrameAtOnce(frame);
      return true;
    },
  };
}
