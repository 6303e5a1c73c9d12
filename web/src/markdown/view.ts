/**
 * A growing Markdown text on the page: blocks that are finished keep their nodes, and only the tail is made anew.
 *
 * At most once a frame, and less often where that takes long.
 */
import { split, type Block, type Split } from './blocks';
import { copy, highlight } from './code';
import { dress } from './dress';
import { write } from './html';
import { patch } from './patch';
import { clean } from './safe';

interface Shown {
  block: Block;
  html: string;
  node: ChildNode | undefined;
  isFinished: boolean;
}

/** What may hold the caret, or what does. */
const HOLDS = '.markdown, p, ul, ol, li, blockquote, h3, h4, h5, h6, .code, pre, pre > code';
const SHARE = 4; // of the time, one part in so many is for this

export class View {
  #root: HTMLElement;
  #split: Split | undefined;
  #shown: Shown[] = [];
  #text = '';
  #frame = 0;
  #notBefore = 0;
  #caret: Element | undefined;

  constructor(root: HTMLElement) {
    this.#root = root;
    root.addEventListener('click', copy);
  }

  /** Show a text: at once where it is the first or the whole, else with the next frame. */
  show(text: string, live: boolean): void {
    this.#text = text;
    if (!live || !this.#split) this.#render(live);
    else this.#frame ||= requestAnimationFrame(this.#tick);
  }

  /** Let go of the page. */
  end(): void {
    cancelAnimationFrame(this.#frame);
    this.#root.removeEventListener('click', copy);
  }

  #tick = (now: number): void => {
    this.#frame = 0;
    if (now < this.#notBefore) this.#frame = requestAnimationFrame(this.#tick);
    else this.#render(true);
  };

  #render(live: boolean): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const begun = performance.now();
    this.#split = split(this.#text, live, this.#split);
    const { blocks, tail } = this.#split;
    const all = [...blocks, ...tail];
    for (const [place, block] of all.entries()) this.#put(place, block);
    for (const { node } of this.#shown.splice(all.length)) node?.remove();
    for (const shown of this.#shown.slice(0, blocks.length)) this.#finish(shown);
    this.#mark(live);
    const ended = performance.now();
    this.#notBefore = ended + (ended - begun) * (SHARE - 1);
  }

  #put(place: number, block: Block): void {
    const there = this.#shown[place];
    if (there?.block === block) return;
    const html = write(block);
    let node = there?.node;
    if (there?.html !== html) {
      const made = html ? only(dress(clean(html))) : undefined;
      if (node && made) node = patch(node, made);
      else {
        node?.remove();
        const behind = this.#shown.slice(place + 1).find((one) => one.node)?.node ?? null;
        if (made) this.#root.insertBefore(made, behind);
        node = made;
      }
    }
    this.#shown[place] = { block, html, node, isFinished: there?.html === html && there.isFinished };
  }

  #finish(shown: Shown): void {
    if (shown.node instanceof Element && !shown.isFinished) highlight(shown.node);
    shown.isFinished = true;
  }

  /** Where the next word will stand. */
  #mark(live: boolean): void {
    this.#caret?.classList.remove('caret');
    this.#caret = undefined;
    if (!live) return;
    let last: Element = this.#root;
    for (let inner: Element | null = last; inner?.matches(HOLDS); inner = inner.lastElementChild) last = inner;
    last.classList.add('caret');
    this.#caret = last;
  }
}

/** One node for a block, whatever it was made of. */
function only(fragment: DocumentFragment): ChildNode | undefined {
  if (fragment.childNodes.length < 2) return fragment.firstChild ?? undefined;
  const box = document.createElement('div');
  box.append(fragment);
  return box;
}
