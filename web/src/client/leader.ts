/** The tab that holds the connection: it deals with what comes, and hands it on to the others. */
import type { Browser } from './browser';
import { Connection, type LinkState, type Listener } from './connection';
import { Malformed } from './frames';
import { isMore, leavesOut, step, type Heard, type Held, type StreamName } from './held';

/** What tabs say to each other. A change of these, or of what is held, needs another `VERSION`. */
export type Word =
  // the leader's
  | { kind: 'lead'; from: string }
  | { kind: 'link'; from: string; state: LinkState }
  | { kind: 'frames'; from: string; frames: readonly Heard[] }
  | { kind: 'held'; from: string; to: string; name: StreamName; held: Held }
  // the others'
  | { kind: 'follow'; from: string; names: readonly (readonly [StreamName, string | null])[]; channel: Held | null }
  | { kind: 'ask'; from: string; hurry: boolean };

/** The tab that leads, as far as the leader needs it. */
export interface Host {
  readonly id: string;
  readonly base: string;
  readonly browser: Browser;
  readonly followed: ReadonlySet<StreamName>;
  readonly held: ReadonlyMap<StreamName, Held>;
  /** Keep what is held of a stream; begins with nothing. */
  hold(name: StreamName): Held;
  /** Put something else in its place, and tell those who hear it; a frame where it was one that did it. */
  put(name: StreamName, held: Held, frame: Heard['frame'] | null): void;
  linked(state: LinkState): void;
  say(word: Word): void;
  /** Call when another tab is gone, however it went. */
  whenGone(tab: string, forget: () => void): void;
  /** Let go of what nobody follows. */
  letGo(): void;
}

export class Leader implements Listener {
  readonly #others = new Map<string, ReadonlySet<StreamName>>();
  readonly #faults = new Map<StreamName, string | null>();
  readonly #connection: Connection;
  #unsaid: Heard[] = [];

  constructor(
    private readonly tab: Host,
    state: LinkState,
  ) {
    this.#connection = new Connection(tab.base, tab.browser, this, state);
  }

  /** Take the lead: the others tell what they follow. */
  begin(): void {
    this.announce();
    this.#connection.change();
  }

  announce(): void {
    this.#say({ kind: 'lead', from: this.tab.id });
  }

  /** What is followed has changed. */
  change(): void {
    this.tab.letGo();
    this.#connection.change();
  }

  hurry(): void {
    this.#connection.hurry();
  }

  renew(): void {
    this.#connection.renew();
  }

  close(): void {
    this.#connection.close();
    this.#flush();
  }

  /** Whether a tab follows a stream. */
  isWanted(name: StreamName): boolean {
    if (this.tab.followed.has(name)) return true;
    for (const names of this.#others.values()) if (names.has(name)) return true;
    return false;
  }

  /** Deal with another tab's word. */
  told(word: Word): void {
    if (word.kind === 'ask') {
      if (word.hurry) this.#connection.hurry();
      else this.#connection.tick();
      this.#say({ kind: 'link', from: this.tab.id, state: this.#connection.state });
    }
    if (word.kind === 'follow') this.#follow(word);
  }

  // The connection's listener

  watched(): [StreamName, string | null][] {
    const wanted = [...this.tab.held].filter(([name, { over }]) => !over && this.isWanted(name));
    const newest = wanted.map(([name]): [StreamName, string | null] => [name, this.cursor(name)]).reverse();
    return newest.sort(([one], [other]) => Number(one.includes('/')) - Number(other.includes('/')));
  }

  cursor(name: StreamName): string | null {
    return name === 'conversations' ? null : (this.tab.held.get(name)?.cursor ?? null);
  }

  heard({ stream, id, frame }: Heard): void {
    const held = this.tab.held.get(stream);
    if (!held) return;
    const heard = { stream, id, frame, after: held.cursor };
    const next = step(held, heard);
    if (next === 'known') return;
    if (next === 'missed') throw new Malformed(`${frame.type} does not follow on ${held.cursor}`, stream);
    this.tab.put(stream, next, frame);
    if (this.#others.size === 0) return;
    if (this.#unsaid.push(heard) === 1) this.tab.browser.soon(() => this.#flush());
  }

  faulty(stream: StreamName | null): void {
    const held = stream && this.tab.held.get(stream);
    if (!stream || !held) return;
    // What fails twice at one place would do so for ever; a snapshot leads around it.
    if (held.cursor !== null && this.#faults.get(stream) === held.cursor) this.tab.put(stream, { ...held, cursor: null }, null);
    this.#faults.set(stream, held.cursor);
  }

  linked(state: LinkState): void {
    this.tab.linked(state);
    this.#say({ kind: 'link', from: this.tab.id, state });
  }

  #follow({ from, names, channel }: Extract<Word, { kind: 'follow' }>): void {
    if (!this.#others.has(from)) this.tab.whenGone(from, () => this.#forget(from));
    this.#others.set(from, new Set(names.map(([name]) => name)));
    for (const [name, theirs] of names) {
      const held = this.tab.hold(name);
      if (name === 'broadcast' && channel && leavesOut(held, channel)) {
        this.tab.put(name, channel, null); // and go on from where they are, since nobody hands over what they miss
        this.#connection.resume();
      } else if (isMore(held, theirs)) this.#say({ kind: 'held', from: this.tab.id, to: from, name, held });
    }
    this.#say({ kind: 'link', from: this.tab.id, state: this.#connection.state });
    this.change();
  }

  #forget(tab: string): void {
    this.#others.delete(tab);
    this.change();
  }

  /** What has been heard is said before anything else: what is handed over holds it already. */
  #say(word: Word): void {
    this.#flush();
    this.tab.say(word);
  }

  #flush(): void {
    if (this.#unsaid.length === 0) return;
    const frames = this.#unsaid;
    this.#unsaid = [];
    this.tab.say({ kind: 'frames', from: this.tab.id, frames });
  }
}
