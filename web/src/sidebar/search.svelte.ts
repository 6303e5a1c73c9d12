/** A search that runs while it is typed: one request at a time, and the newest text wins. */
import { search, type Hit } from '../client/calls';

type Find = (text: string, before: string | null) => Promise<{ conversations: Hit[]; next: string | null }>;

export class Search {
  text = $state('');
  /** What `hits` were found by; empty before the first answer. */
  found = $state('');
  hits = $state.raw<readonly Hit[]>([]);
  next = $state.raw<string | null>(null);
  /** The server's words where it does not search. */
  trouble = $state('');
  busy = $state(false);
  readonly asked = $derived(this.text.trim());
  /** Whether a page is wanted that is not there yet. */
  #wanted = false;
  readonly #find: Find;

  constructor(find: Find = search) {
    this.#find = find;
  }

  type(text: string): void {
    this.text = text;
    this.trouble = '';
    this.#wanted = false;
    if (this.asked === '') this.#clear();
    else void this.#work();
  }

  /** Read the next page of hits, or try again what has failed. */
  more(): void {
    this.#wanted = true;
    this.trouble = '';
    void this.#work();
  }

  /** A conversation is gone. */
  drop(id: string): void {
    this.hits = this.hits.filter((one) => one.id !== id);
  }

  /** Ask until what is shown is of the newest text; a request under way is that which later ones wait for. */
  async #work(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    while (this.asked !== '' && (this.asked !== this.found || (this.#wanted && this.next !== null))) {
      const text = this.asked;
      const before = text === this.found ? this.next : null;
      this.#wanted = false;
      try {
        const answer = await this.#find(text, before);
        if (text === this.asked) this.#take(text, before, answer);
      } catch (error) {
        if (text !== this.asked) continue;
        this.trouble = (error as Error).message;
        break;
      }
    }
    this.busy = false;
  }

  #take(text: string, before: string | null, answer: { conversations: Hit[]; next: string | null }): void {
    const known = before === null ? [] : this.hits;
    const ids = new Set(known.map(({ id }) => id));
    this.hits = [...known, ...answer.conversations.filter(({ id }) => !ids.has(id))];
    this.next = answer.next;
    this.found = text;
  }

  #clear(): void {
    this.hits = [];
    this.next = null;
    this.found = '';
  }
}
