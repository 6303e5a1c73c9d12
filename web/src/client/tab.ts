/** A tab among the tabs of its origin: one of them leads and holds the connection, and all hear the same. */
import type { Browser } from './browser';
import { SILENCE, type LinkState } from './connection';
import { adopted, mark, nothing, step, type Heard, type Held, type StreamName } from './held';
import { Leader, type Host, type Word } from './leader';
import { newKey } from './post';

/** Two builds whose words differ must not meet. */
const VERSION = 1;
const LOOK = 4_000;
/** How many streams that nobody follows any more are kept, for whoever comes back. */
const KEPT = 5;

export interface Hearer {
  heard(name: StreamName, held: Held, frame: Heard['frame'] | null): void;
  linked(state: LinkState): void;
}

export class Tab implements Host {
  readonly followed = new Set<StreamName>();
  readonly held = new Map<StreamName, Held>();
  id = '';
  #state: LinkState = { link: 'connecting', reason: null, unwatched: 0 };
  #life: AbortController | null = null; // from a `begin` to a `leave`
  #locks: LockManager | null = null;
  #channel: BroadcastChannel | null = null; // where there is one, and its lock is held
  #leader: Leader | null = null; // where this tab leads
  #leaderId: string | null = null; // else who does
  #quiet = 0; // how often nothing had been heard of the leader
  #watch: ReturnType<typeof setInterval> | undefined;
  #telling = false;
  #closed = false;

  constructor(
    readonly base: string,
    readonly browser: Browser,
    private readonly hearer: Hearer,
  ) {
    browser.on((occasion) => this.#met(occasion));
  }

  follow(name: StreamName): Held {
    const held = this.held.get(name) ?? nothing(name);
    this.held.delete(name);
    this.held.set(name, held); // the newest is last
    this.followed.add(name);
    this.#begin();
    this.#tell();
    return held;
  }

  unfollow(name: StreamName): void {
    this.followed.delete(name);
    this.#tell();
    this.letGo();
  }

  /** Change what is held of a stream here. */
  change(name: StreamName, change: (held: Held) => Held): void {
    const held = this.held.get(name);
    if (held) this.put(name, change(held), null);
  }

  close(): void {
    this.#closed = true;
    this.#leave();
  }

  // What the leader is given

  hold(name: StreamName): Held {
    const held = this.held.get(name) ?? nothing(name);
    this.held.set(name, held);
    return held;
  }

  put(name: StreamName, held: Held, frame: Heard['frame'] | null): void {
    this.held.set(name, held);
    if (this.followed.has(name)) this.hearer.heard(name, held, frame);
  }

  linked(state: LinkState): void {
    this.#state = state;
    this.hearer.linked(state);
  }

  say(word: Word): void {
    this.#channel?.postMessage(word);
  }

  whenGone(tab: string, forget: () => void): void {
    const life = this.#life!.signal;
    const leader = this.#leader;
    // It is granted when the lock of that tab is free: closed, crashed, put aside.
    void this.#locks
      ?.request(`${this.#place}/${tab}`, { signal: life }, () => leader === this.#leader && forget())
      .catch(() => null);
  }

  /** The newest that nobody follows are kept, but for the list, which is right only while it is followed. */
  letGo(): void {
    const unwanted = [...this.held.keys()].filter((name) => !(this.#leader?.isWanted(name) ?? this.followed.has(name)));
    const gone = unwanted.filter((name, place) => name === 'conversations' || place < unwanted.length - KEPT);
    for (const name of gone) this.held.delete(name);
  }

  // Its life

  #begin(): void {
    if (this.#life || this.#closed || this.followed.size === 0) return;
    this.#life = new AbortController();
    this.id = newKey();
    this.#locks = this.browser.locks();
    const channel = this.#locks && this.browser.channel(this.#place);
    if (!this.#locks || !channel) return this.#lead();
    void this.#join(this.#locks, channel, this.#life.signal);
  }

  async #join(locks: LockManager, channel: BroadcastChannel, life: AbortSignal): Promise<void> {
    channel.onmessage = ({ data }: MessageEvent<Word>) => this.#told(data);
    life.addEventListener('abort', () => channel.close());
    const joined = () => {
      if (life.aborted) return; // a lock may still be granted when nobody waits for it any more
      this.#channel = channel;
      this.#watch = setInterval(() => this.#look(), LOOK);
      this.#tell();
      void this.#campaign(locks, life);
      return until(life);
    };
    // The others know by this lock that this tab is there, so it is held before the first word.
    await locks.request(`${this.#place}/${this.id}`, { signal: life }, joined).catch(() => {
      if (!life.aborted) this.#lead(); // this page may not have locks: it is on its own
    });
  }

  /** Lead whenever the lead is free, or at once, from a leader that does not answer. */
  async #campaign(locks: LockManager, life: AbortSignal, steal = false): Promise<void> {
    let led: boolean;
    const lead = () => {
      if (life.aborted) return;
      led = true;
      this.#lead();
      return until(life);
    };
    do {
      led = false;
      const options = steal ? { steal } : { signal: life };
      await locks.request(`${this.#place}/leader`, options, lead).catch(() => null);
      if (led && !life.aborted) {
        this.#resign(); // it was stolen: others took this tab for frozen
        this.#tell();
      }
    } while (led && !life.aborted && !steal);
  }

  #lead(): void {
    this.#leader?.close();
    this.#leaderId = null;
    this.#leader = new Leader(this, this.#state);
    this.#leader.begin();
  }

  #resign(): void {
    this.#leader?.close();
    this.#leader = null;
  }

  #leave(): void {
    this.#resign();
    this.#life?.abort();
    this.#life = this.#channel = this.#leaderId = null;
    clearInterval(this.#watch);
    const list = this.held.get('conversations');
    if (list) this.held.set('conversations', { ...list, cursor: null }); // what changes from here on is missed
  }

  #met(occasion: Parameters<Parameters<Browser['on']>[0]>[0]): void {
    if (occasion === 'leave') this.#leave();
    if (occasion === 'back') this.#begin();
    if (occasion === 'online' || occasion === 'offline') {
      this.#leader?.renew();
      this.linked(this.#state);
    }
    if (this.#leader) this.#leader.hurry();
    else if (occasion !== 'leave') this.say({ kind: 'ask', from: this.id, hurry: true });
  }

  // Among the others

  #told(word: Word): void {
    if (word.kind === 'follow' || word.kind === 'ask') return this.#leader?.told(word);
    if (this.#leader) return word.kind === 'lead' ? void this.#contradict() : undefined;
    if (word.kind === 'lead') {
      this.#leaderId = word.from;
      this.#tell();
    }
    if (word.from !== (this.#leaderId ??= word.from)) return; // one that does not know yet that it leads no more
    this.#quiet = 0;
    if (word.kind === 'link') this.linked(word.state);
    if (word.kind === 'frames') for (const heard of word.frames) this.#hear(heard);
    if (word.kind === 'held' && word.to === this.id) this.#adopt(word.name, word.held);
  }

  /** Two lead where one does not know yet that it leads no more; the other one says so. */
  async #contradict(): Promise<void> {
    const { held } = await this.#locks!.query().catch((): LockManagerSnapshot => ({}));
    const holder = (name: string) => held?.find((lock) => lock.name === `${this.#place}/${name}`)?.clientId;
    if (held && holder('leader') === holder(this.id)) this.#leader?.announce();
  }

  #hear(heard: Heard): void {
    const held = this.followed.has(heard.stream) && this.held.get(heard.stream);
    if (!held) return;
    const next = step(held, heard);
    if (next === 'missed') {
      // The leader hands over what it holds, or, of the channel, goes back to where this tab is.
      if (heard.stream !== 'broadcast') this.put(heard.stream, { ...held, cursor: null }, null);
      this.#tell();
    } else if (next !== 'known') this.put(heard.stream, next, heard.frame);
  }

  #adopt(name: StreamName, given: Held): void {
    const held = this.followed.has(name) && this.held.get(name);
    const next = held ? adopted(held, given) : 'known';
    if (next !== 'known') this.put(name, next, null);
  }

  /** Tell what is followed, once for all that changes at a time. */
  #tell(): void {
    if (this.#telling) return;
    this.#telling = true;
    queueMicrotask(() => {
      this.#telling = false;
      if (this.#leader) return this.#leader.change();
      const names = [...this.followed].map((name) => [name, mark(this.held.get(name)!)] as const);
      const channel = (this.followed.has('broadcast') && this.held.get('broadcast')) || null;
      this.say({ kind: 'follow', from: this.id, names, channel });
    });
  }

  /** Look whether the leader is there; one that is not, while somebody looks at this tab, is deposed. */
  #look(): void {
    this.#quiet = this.#leader || !this.browser.isVisible() ? 0 : this.#quiet + 1;
    if (this.#quiet * LOOK >= SILENCE) {
      this.#quiet = 0;
      void this.#campaign(this.#locks!, this.#life!.signal, true);
    } else if (this.#quiet > 1 || this.#state.link !== 'open') {
      this.say({ kind: 'ask', from: this.id, hurry: false });
    }
  }

  get #place(): string {
    return `tickertape/${VERSION}${this.base && ` ${this.base}`}`;
  }
}

/** Settles when a life is over. */
const until = (life: AbortSignal) =>
  new Promise<void>((resolve) => (life.aborted ? resolve() : life.addEventListener('abort', () => resolve())));
