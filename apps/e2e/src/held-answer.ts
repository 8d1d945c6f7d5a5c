import type { FakeCall } from './fake-openai.ts';

/** Sends the held chunk `index` of a call on its way, and resolves when the provider waits for the next one. */
export async function releaseChunk(call: FakeCall, index: number): Promise<void> {
  await call.reached(index);
  call.release();
  await (index < (call.plan.chunks?.length ?? 0) ? call.reached(index + 1) : call.ended);
}

/** Releases the held chunks from `first` up to but not including `last`, one by one. */
export async function releaseChunks(call: FakeCall, first: number, last: number): Promise<void> {
  for (let index = first; index < last; index += 1) await releaseChunk(call, index);
}
