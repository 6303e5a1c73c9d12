/** Follow the streams of a server: what a page, or any other program in a browser, imports. */
import { browser, type Browser } from './browser';
import { callsTo, type Calls } from './calls';
import type { LinkState } from './connection';
import type { FrameOf, Held, StateOf, StreamName } from './held';
import type { Message } from './protocol';
import { reduce, type State } from './reduce';
import { Tab } from './tab';

export type { FrameOf, StateOf, StreamName } from './held';

/** How the connection stands; `offline` is lost, too, and the browser knows why. */
export type Link = LinkState['link'] | 'offline';
export type LinkReason = NonNullable<LinkState['reason']>;

/** Called with what there is at once, and after every frame; `frame` is the one that made the state, if one did. */
export type Hear<N extends StreamName> = (state: StateOf<N>, frame: FrameOf<N> | null) => void;

/** Called with how the connection stands; `why` it was lost, and how many streams have no room on it. */
export type HearLink = (link: Link, why: { reason: LinkReason | null; unwatched: number }) => void;

export class Client {
  /** The calls of the server's API. */
  readonly calls: Calls;
  readonly #hearers = new Map<StreamName, Set<(state: never, frame: never) => void>>();
  readonly #linkHearers = new Set<HearLink>();
  readonly #browser: Browser;
  readonly #tab: Tab;
  #link: Parameters<HearLink> = ['connecting', { reason: null, unwatched: 0 }];

  /** A client of the server at `base`, by default the one that the page came from. */
  constructor(base = '', of: Browser = browser) {
    this.calls = callsTo(base);
    this.#browser = of;
    this.#tab = new Tab(base, of, {
      heard: (name, held, frame) => this.#heard(name, held, frame),
      linked: (state) => this.#linked(state),
    });
  }

  /** Follow a stream until the function that is returned is called. */
  follow<N extends StreamName>(name: N, hear: Hear<N>): () => void {
    const { state } = this.#tab.follow(name);
    const hearers = this.#hearers.get(name) ?? new Set();
    const mine: Hear<N> = (state, frame) => hear(state, frame); // the same function may hear twice
    this.#hearers.set(name, hearers.add(mine));
    hear(state as StateOf<N>, null);
    return () => {
      if (!hearers.delete(mine) || hearers.size > 0 || this.#hearers.get(name) !== hearers) return;
      this.#hearers.delete(name);
      this.#tab.unfollow(name);
    };
  }

  /** Be told how the connection stands, now and whenever that changes, until the function that is returned is called. */
  onLink(hear: HearLink): () => void {
    const mine: HearLink = (link, why) => hear(link, why);
    this.#linkHearers.add(mine);
    guarded(() => mine(...this.#link));
    return () => void this.#linkHearers.delete(mine);
  }

  /** Give a followed conversation whole messages that were read beside its stream. */
  fill(name: StreamName, messages: readonly Message[]): void {
    this.#tab.change(name, (held) => ({ ...held, state: reduce(held.state as State, { type: 'filled', messages }) }));
  }

  /** Let go of the connection, for good. */
  close(): void {
    this.#tab.close();
  }

  #heard(name: StreamName, { state }: Held, frame: unknown): void {
    for (const hear of this.#hearers.get(name) ?? []) guarded(() => hear(state as never, frame as never));
  }

  #linked({ link, reason, unwatched }: LinkState): void {
    const [shown, why] = this.#link;
    const now = link !== 'open' && !this.#browser.isOnline() ? 'offline' : link;
    if (now === shown && reason === why.reason && unwatched === why.unwatched) return;
    this.#link = [now, { reason, unwatched }];
    for (const hear of this.#linkHearers) guarded(() => hear(...this.#link));
  }
}

/** What goes wrong in one hearer must not keep the others, or the stream, from going on. */
function guarded(hear: () => void): void {
  try {
    hear();
  } catch (error) {
    queueMicrotask(() => {
      throw error; // where every error goes that nobody catches
    });
  }
}

/** Follow the streams of a server and make its calls: `connect('http://127.0.0.1:8000')`. */
export function connect(base = ''): Client {
  return new Client(base && new URL(base).href.replace(/\/+$/, ''));
}

/** The client of this page: all that it follows, in all of its tabs, shares one connection. */
export const client = new Client();
