/** What the client needs of a browser beside `fetch` and timers, in one place, so that tests can be one. */

/** `leave` and `back`: the page is put aside, for good or for a while. */
export type Occasion = 'leave' | 'back' | 'visible' | 'online' | 'offline';

export interface Browser {
  open(url: string): EventSource;
  /** Null where there are none: over plain HTTP from another machine, say. */
  locks(): LockManager | null;
  channel(name: string): BroadcastChannel | null;
  isVisible(): boolean;
  isOnline(): boolean;
  /** Run a task soon, also in a page that is hidden, where timers are held back. */
  soon(run: () => void): void;
  on(hear: (occasion: Occasion) => void): void;
}

export const browser: Browser = {
  open: (url) => new EventSource(url),
  locks: () => (globalThis.navigator as Partial<Navigator> | undefined)?.locks ?? null,
  channel: (name) => {
    try {
      return new BroadcastChannel(name);
    } catch {
      return null; // there is none, or this page has an origin that may not
    }
  },
  isVisible: () => globalThis.document?.visibilityState !== 'hidden',
  isOnline: () => globalThis.navigator?.onLine !== false,
  soon: (run) => {
    const { port1, port2 } = new MessageChannel();
    port2.onmessage = () => {
      port2.close();
      run();
    };
    port1.postMessage(null);
  },
  on: (hear) => {
    const { document, window } = globalThis;
    if (!document || !window) return;
    for (const name of ['online', 'offline'] as const) window.addEventListener(name, () => hear(name));
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && hear('visible'));
    window.addEventListener('pagehide', () => hear('leave'));
    window.addEventListener('pageshow', () => hear('back'));
    document.addEventListener('freeze', () => hear('leave'));
    document.addEventListener('resume', () => hear('back'));
  },
};
