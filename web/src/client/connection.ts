/** The one connection to the server: an EventSource on `GET /streams`, opened anew with the cursors as they are then. */
import type { Browser } from './browser';
import { Lag, Malformed, Reader, watchQuery } from './frames';
import type { Heard, StreamName } from './held';
import { FRAME_TYPES } from './protocol';

/** Why a connection was given up. */
export type Reason = 'cut' | 'silent' | 'drain' | 'overloaded' | 'malformed';

export interface LinkState {
  link: 'connecting' | 'open' | 'lost';
  reason: Reason | null;
  /** How many streams are not watched, because a request has no room for more. */
  unwatched: number;
}

export interface Listener {
  /** The streams to watch, each with its cursor; what matters most comes first. */
  watched(): [StreamName, string | null][];
  cursor(stream: StreamName): string | null;
  /** Deal with a frame. What is thrown makes the connection be opened anew. */
  heard(heard: Heard): void;
  /** A frame of this stream, if one is known, could not be dealt with. */
  faulty(stream: StreamName | null): void;
  linked(state: LinkState): void;
}

export const SILENCE = 40_000; // two pings and some: whatever holds the connection open, nobody is there
const FIRST_WAIT = 250;
const LONGEST_WAIT = 15_000;
const LONGEST_RETRY = 60;

export class Connection {
  readonly #lag = new Lag((stream) => this.#leapt(stream));
  #reader = new Reader();
  readonly #strange = new Set<StreamName>(); // those with events that are not known here
  #source: EventSource | null = null;
  #watching = new Set<StreamName>();
  #silent = new Set<StreamName>(); // those of them that have not said hello
  #joining = false; // until the channel has told that somebody joined: this client
  #heardAt = new Moment();
  #waits: { since: Moment; for: number } | null = null;
  #patient = false; // whether it waits because it was told to
  #failures = 0;
  #faults = 0; // apart, since a connection may open well and always bring the same broken frame
  #timer: ReturnType<typeof setTimeout> | undefined;
  #changing = false;
  #closed = false;

  /** `state` is how things stood before: a page that takes over a connection has not lost it. */
  constructor(
    private readonly base: string,
    private readonly browser: Browser,
    private readonly listener: Listener,
    public state: LinkState,
  ) {}

  /** What is to be watched has changed, perhaps; several changes at a time are one. */
  change(): void {
    if (this.#changing) return;
    this.#changing = true;
    queueMicrotask(() => {
      this.#changing = false;
      this.#follow();
    });
  }

  /** Do what is due; to be called where timers are held back. */
  tick(): void {
    clearTimeout(this.#timer);
    const left = this.#source ? SILENCE - this.#heardAt.ago() : this.#waits && this.#waits.for - this.#waits.since.ago();
    if (left === null || this.#closed) return;
    if (left > 0) this.#timer = setTimeout(() => this.tick(), left);
    else if (this.#source) this.#renew('lost', 'silent');
    else this.#open();
  }

  /** Somebody looks: wait no longer, unless the server has asked for it. */
  hurry(): void {
    if (this.#waits && !this.#patient) this.#open();
    else this.tick();
  }

  /** The network is another one: whatever was open may be dead without a word. */
  renew(): void {
    this.#failures = 0;
    if (this.#source || this.#waits) this.#renew('connecting', null);
  }

  /** A cursor is another one. */
  resume(): void {
    if (this.#source) this.#open();
  }

  close(): void {
    this.#closed = true;
    this.#shut();
  }

  #follow(): void {
    if (this.#closed || this.#waits) return;
    // While it is being opened it is left alone: the channel would be joined once more, or the notice of it missed.
    if (this.#source && (this.#silent.size > 0 || this.#joining)) return;
    const names = watchQuery(this.listener.watched())[1];
    if (names.length !== this.#watching.size || names.some((name) => !this.#watching.has(name))) this.#open();
  }

  #open(): void {
    this.#shut();
    const wanted = this.listener.watched();
    const [query, names] = watchQuery(wanted);
    this.#watching = new Set(names);
    this.#silent = new Set(names);
    this.#joining = wanted.some(([name, cursor]) => name === 'broadcast' && cursor === null);
    const unwatched = wanted.length - names.length;
    if (unwatched > this.state.unwatched) console.warn(`${unwatched} streams too many are followed: they rest.`);
    if (unwatched !== this.state.unwatched) this.#link({ unwatched });
    if (names.length === 0) return;
    this.#reader = new Reader((stream) => this.#leapt(stream));
    this.#lag.begin();
    const source = this.browser.open(`${this.base}/streams?${query}`);
    this.#source = source;
    for (const type of FRAME_TYPES) {
      source.addEventListener(type, (event) => this.#source === source && this.#heard(event as MessageEvent<string>));
    }
    // The browser would come back by itself, but with the cursors of long ago.
    source.addEventListener('error', () => this.#source === source && this.#ended());
    this.#heardAt = new Moment();
    this.tick();
  }

  #heard(event: MessageEvent<string>): void {
    this.#heardAt = new Moment();
    let heard: Heard | null = null;
    try {
      heard = this.#reader.read(event.type, event.data, event.lastEventId);
      this.listener.heard(heard);
    } catch (error) {
      console.debug('A frame could not be dealt with; its stream is taken up again.', error);
      this.listener.faulty(heard ? heard.stream : error instanceof Malformed ? error.stream : null);
      this.#faults += 1;
      return this.#fail('malformed', 0, this.#faults);
    }
    const { stream, frame } = heard;
    if (this.#joining && (frame.type === 'message' || frame.type === 'ping')) {
      this.#joining = false;
      this.change();
    }
    if (frame.type === 'hello') this.#greeted(stream);
    else if (frame.type === 'ping') this.#pinged(stream, frame as { cursor?: unknown });
    else if (frame.type === 'bye') this.#parted(stream, frame as { reason?: unknown; retry_after?: unknown });
  }

  /** An event is of a type that is not known here: that is for a later page, and told once. */
  #leapt(stream: StreamName): void {
    if (this.#strange.has(stream)) return;
    this.#strange.add(stream);
    console.warn(`An event of ${stream} is of a type that this page does not know: it is left out. Reload the page for a newer one.`);
  }

  #greeted(stream: StreamName): void {
    if (!this.#silent.delete(stream) || this.#silent.size > 0) return;
    this.#failures = 0;
    this.#link({ link: 'open', reason: null });
    this.change();
  }

  #pinged(stream: StreamName, { cursor: head }: { cursor?: unknown }): void {
    this.#faults = 0;
    if (this.#watching.has(stream) && this.#lag.notices(stream, this.listener.cursor(stream), head)) this.#open();
  }

  #parted(stream: StreamName, { reason, retry_after: after }: { reason?: unknown; retry_after?: unknown }): void {
    if (reason === 'deleted') {
      this.#watching.delete(stream);
      return this.#greeted(stream);
    }
    const seconds = typeof after === 'number' && after > 0 ? Math.min(after, LONGEST_RETRY) : 1;
    if (reason === 'drain') return this.#fail('drain', seconds * 1000, 0);
    this.#failures += 1;
    this.#fail('overloaded', seconds * 1000, this.#failures);
  }

  #ended(): void {
    if (this.#watching.size === 0) return this.#shut(); // all are over: nothing is left to come back to
    this.#failures += 1;
    this.#fail('cut', 0, this.#failures);
  }

  /** Wait at least so many milliseconds, longer with every failure, and never all clients for the same time. */
  #fail(reason: Reason, least: number, failures: number): void {
    this.#shut();
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** Math.min(failures, 10)) * (0.5 + Math.random());
    this.#waits = { since: new Moment(), for: Math.max(least * (1 + Math.random() / 4), failures ? wait : 0) };
    this.#patient = reason === 'overloaded' || reason === 'malformed';
    this.#link({ link: 'lost', reason });
    this.tick();
  }

  #renew(link: LinkState['link'], reason: Reason | null): void {
    this.#link({ link, reason });
    this.#open();
  }

  #shut(): void {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
    this.#waits = null;
    this.#watching.clear();
  }

  #link(change: Partial<LinkState>): void {
    this.state = { ...this.state, ...change };
    this.listener.linked(this.state);
  }
}

/** A moment of now: one clock may be set back, and the other stands still while the machine sleeps. */
class Moment {
  readonly #times = [performance.now(), Date.now()] as const;

  /** Milliseconds since then, as the clock says that went further. */
  ago(): number {
    return Math.max(performance.now() - this.#times[0], Date.now() - this.#times[1]);
  }
}
