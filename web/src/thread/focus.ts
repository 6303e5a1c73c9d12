/** Keeps the keyboard's place: what had the focus and is gone hands it to what it stood in. */
export class Focus {
  #log: HTMLElement | undefined;
  #last: EventTarget | null = null;

  /** Watch until the function that is returned is called. */
  attach(log: HTMLElement): () => void {
    this.#log = log;
    const came = (event: FocusEvent) => (this.#last = event.target);
    const went = (event: FocusEvent) => event.relatedTarget && (this.#last = null);
    log.addEventListener('focusin', came);
    log.addEventListener('focusout', went);
    return () => {
      log.removeEventListener('focusin', came);
      log.removeEventListener('focusout', went);
    };
  }

  /** Called when something may have gone. */
  restore(): void {
    if (!(this.#last instanceof Element) || this.#last.isConnected) return;
    this.#last = null;
    if (document.activeElement === document.body) this.#log?.focus({ preventScroll: true });
  }
}
