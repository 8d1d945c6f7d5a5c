/** The output, with the header that says a repeat from a first attempt where the door has headers. */
export function replayable<Output>(
  ctx: { readonly responseHeaders?: Pick<Headers, 'set'> | undefined },
  { output, replayed }: { readonly output: Output; readonly replayed: boolean },
): Output {
  if (replayed) ctx.responseHeaders?.set('Idempotent-Replayed', 'true');
  return output;
}
