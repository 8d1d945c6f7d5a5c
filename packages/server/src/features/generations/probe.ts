/** The moments in a generation's life between which a crash makes a difference. */
export type ProbePoint =
  | 'claiming'
  | 'claimed'
  | 'reserving'
  | 'reserved'
  | 'admitting'
  | 'admitted'
  | 'provider-called'
  | 'streaming'
  | 'checkpointing'
  | 'checkpointed'
  | 'ending'
  | 'ended'
  | 'published'
  // Of the record or release that the Accounting Service is told.
  | 'delivering'
  | 'delivered';

/** Called at each of these moments; what it throws or never returns is as if the process died there. */
export type Probe = (point: ProbePoint, generationId: string) => void | Promise<void>;

export const noProbe: Probe = () => undefined;
