/** Where in the conversation its reader is: at the end, which is then kept in view, or somewhere on their own. */
import { onUpward } from './upward';

const NEAR = 80; // so far from the end is still at it, for who scrolls down: it may be moving, too
const LEAVING = 4; // and for who scrolls up,
const LEFT = 1; // which does not bring back who has left it

/** Judges by positions, and by gestures that are about to change them: a scroll to where the page itself has not put the reader is the reader's own. */
export class Reader {
  atEnd = $state(true);
  #log: HTMLElement | undefined;
  #put = 0;
  #last = 0;
  /** What stays where it is until the reader moves: sizes that are not known yet are guessed at first. */
  #kept: { element: Element; below: number } | null = null;

  /**
   * Keep the end of `content` in view in `log`, whichever of them grows, until the function that is returned is called.
   * `moved` is called wherever the reader or the page scrolls to.
   */
  attach(log: HTMLElement, content: HTMLElement, moved: () => void): () => void {
    this.#log = log;
    // Sizes are told of after a frame's scroll events: who scrolls up is never pulled back by what came meanwhile.
    const sizes = new ResizeObserver(() => (this.atEnd ? this.#toEnd() : this.#keep()));
    sizes.observe(log);
    sizes.observe(content);
    const scrolled = () => {
      this.#look();
      moved();
    };
    log.addEventListener('scroll', scrolled, { passive: true });
    // A scroll begins slowly: to keep the end in view would undo it before its first pixels are seen.
    const deaf = onUpward(log, () => this.#leave());
    return () => {
      deaf();
      sizes.disconnect();
      log.removeEventListener('scroll', scrolled);
    };
  }

  /** Show the end, and stay there. */
  end(): void {
    this.atEnd = true;
    this.#toEnd();
  }

  /** How far below the top of what is seen an element stands. */
  below(element: Element): number {
    return element.getBoundingClientRect().top - (this.#log?.getBoundingClientRect().top ?? 0);
  }

  /** Leave an element where it stands, even at the end: what is about to grow was opened by the reader. */
  hold(element: Element): void {
    this.#kept = { element, below: this.below(element) };
    this.atEnd = false;
  }

  /** Bring an element to so many pixels below the top. */
  bring(element: Element, below: number): void {
    this.#kept = { element, below };
    this.#keep();
  }

  #keep(): void {
    if (!this.#log || !this.#kept?.element.isConnected) return;
    this.#move(this.#log.scrollTop + this.below(this.#kept.element) - this.#kept.below);
    this.atEnd = this.#gap < LEAVING;
  }

  get #gap(): number {
    return this.#log ? this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight : 0;
  }

  #leave(): void {
    if (!this.#log?.scrollTop) return;
    this.#kept = null;
    this.atEnd = false;
  }

  #look(): void {
    const top = this.#log?.scrollTop ?? 0;
    const up = top < this.#last;
    this.#last = top;
    if (Math.abs(top - this.#put) <= 1) return;
    this.#kept = null;
    this.atEnd = this.#gap < (up ? (this.atEnd ? LEAVING : LEFT) : NEAR);
  }

  #toEnd(): void {
    this.#move(this.#log?.scrollHeight ?? 0);
  }

  #move(top: number): void {
    if (!this.#log) return;
    this.#log.scrollTop = top;
    this.#put = this.#last = this.#log.scrollTop;
  }
}
