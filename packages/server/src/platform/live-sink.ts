/** A short way for what is told to many at once: straight to the client of one subscription. */
export interface LiveSink {
  /**
   * Sends the event, where nothing waits to be sent before it and there is room; otherwise false, nothing is sent, and the
   * event has to go the usual way. To be called only while the subscription's source is being waited for.
   */
  write(id: string, event: object): boolean;
}
