/** Listeners by event name. */
export interface Emitter<Events extends Record<string, unknown>> {
  on<Name extends keyof Events>(name: Name, listener: (payload: Events[Name]) => void): void;
  off<Name extends keyof Events>(name: Name, listener: (payload: Events[Name]) => void): void;
  emit<Name extends keyof Events>(name: Name, payload: Events[Name]): void;
}

/** A throwing listener stops neither the others nor the stream: what it threw is reported as an uncaught error. */
export function createEmitter<Events extends Record<string, unknown>>(): Emitter<Events> {
  const listeners: { [Name in keyof Events]?: Set<(payload: Events[Name]) => void> } = {};
  return {
    on(name, listener) {
      (listeners[name] ??= new Set()).add(listener);
    },
    off(name, listener) {
      listeners[name]?.delete(listener);
    },
    emit(name, payload) {
      for (const listener of [...(listeners[name] ?? [])]) {
        try {
          listener(payload);
        } catch (error) {
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    },
  };
}
