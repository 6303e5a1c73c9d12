/** The conversations that this page knows of: what the list's stream says, and older ones, read page by page. */
import { readList } from '../client/calls';
import { newestFirst, reduceList, type ListState } from '../client/list';
import type { Conversation, ListFrame } from '../client/protocol';

/** How many a snapshot holds when there are more. */
const FIRST_PAGE = 50;

type Read = (before: string | null) => Promise<{ conversations: Conversation[]; next: string | null }>;

export class Conversations {
  /** Newest activity first. */
  rows = $state.raw<readonly Conversation[]>([]);
  known = $state(false);
  reading = $state(false);
  /** Why older ones could not be read. */
  trouble = $state('');
  /** Where the next page begins; null at the end, empty before the first. */
  next = $state.raw<string | null>('');
  /** Whether some of what was read may have been deleted unheard. */
  #stale = false;
  /** Whether that is likely, so that it is read again at once, and not when somebody looks. */
  #doubted = false;
  #urgent = false;
  /** The state that was taken up last. */
  #taken: ListState['conversations'] = [];
  /** What the stream has told of since the read under way began: that is newer than what the read finds. */
  #heard = new Set<string>();
  #round = 0;
  readonly #read: Read;

  constructor(read: Read = readList) {
    this.#read = read;
  }

  /** Take up what the list's stream says, as `Client.follow` hands it on. */
  hear(state: ListState, frame: ListFrame | null): void {
    if (!state.known || state.conversations === this.#taken) return;
    this.#taken = state.conversations;
    if (frame?.type === 'snapshot') this.#begin(state.conversations, state.conversations.length < FIRST_PAGE);
    else if (frame?.type === 'conversation.changed' && this.known) this.put(frame.conversation);
    else if (frame?.type === 'conversation.deleted' && this.known) this.drop(frame.id);
    else this.#adopt(state.conversations);
  }

  /** A conversation has changed. */
  put(conversation: Conversation): void {
    this.#heard.add(conversation.id);
    this.rows = reduceList({ conversations: this.rows, known: true }, { type: 'conversation.changed', conversation }).conversations;
  }

  /** A conversation is gone. */
  drop(id: string): void {
    this.#heard.add(id);
    this.rows = this.rows.filter((one) => one.id !== id);
  }

  /** Read the next page, if there is one and none is being read; after a reconnect, all that was read before. */
  async more(): Promise<void> {
    if (this.reading || (this.next === null && !this.#stale)) return;
    const round = this.#round;
    this.reading = true;
    this.trouble = '';
    this.#heard = new Set();
    try {
      await (this.#stale ? this.#readAgain(round) : this.#readNext(round));
    } catch (error) {
      if (round === this.#round) this.trouble = (error as Error).message;
    } finally {
      if (round === this.#round) this.reading = false;
    }
  }

  /** The connection was lost: what was deleted meanwhile, nobody will tell of. */
  doubt(): void {
    this.#doubted = true;
  }

  /** Somebody looks through the list: what may be gone is read again. */
  look(): void {
    if (this.#stale && !this.trouble) void this.more();
  }

  /** Begin anew with the first page, as the server has it now; `whole` where that is all. */
  #begin(first: readonly Conversation[], whole: boolean): void {
    const last = whole ? undefined : first.at(-1);
    const older = last ? this.rows.filter(({ updated_at }) => newestFirst(updated_at, last.updated_at) > 0) : [];
    // Whatever changes comes to the top. Where the old list and the new one meet, what is older has not changed.
    const meet = this.rows.some(({ id, updated_at }) => id === last?.id && updated_at === last.updated_at);
    if (older.length === 0) this.next = last ? '' : null;
    this.#take(merged(older, first), older.length > 0, this.#doubted || !meet);
  }

  /** Take over what another tab holds: some of a first page may be missing from it, or be of long ago. */
  #adopt(held: readonly Conversation[]): void {
    if (this.rows.length === 0) this.next = '';
    this.#take(merged(this.rows, held), this.rows.length > 0, true);
  }

  #take(rows: readonly Conversation[], stale: boolean, urgent: boolean): void {
    this.#round += 1; // what is still being read is of before
    this.reading = false;
    this.trouble = '';
    this.known = true;
    this.rows = rows;
    this.#stale = stale;
    this.#urgent = stale && (urgent || this.#urgent);
    this.#doubted = false;
    if (this.#urgent) void this.more();
  }

  async #readNext(round: number): Promise<void> {
    const page = await this.#read(this.next || null);
    if (round !== this.#round) return;
    this.rows = merged(this.rows, page.conversations.filter(({ id }) => !this.#heard.has(id)));
    this.next = page.next;
  }

  /** Read as far as was read before, and only then let go of what is no longer there. */
  async #readAgain(round: number): Promise<void> {
    const oldest = this.rows.at(-1)?.updated_at ?? '';
    const found: Conversation[] = [];
    let next: string | null = null;
    do {
      const page = await this.#read(next);
      if (round !== this.#round) return;
      found.push(...page.conversations);
      next = page.next;
    } while (next && newestFirst(found.at(-1)?.updated_at ?? '', oldest) < 0);
    const heard = this.rows.filter(({ id }) => this.#heard.has(id));
    this.rows = merged(heard, found.filter(({ id }) => !this.#heard.has(id)));
    this.next = next;
    this.#stale = this.#urgent = false;
  }
}

/** Both lists as one, in order; of a conversation in both, the one in `fresh`. */
function merged(rows: readonly Conversation[], fresh: readonly Conversation[]): Conversation[] {
  const byId = new Map([...rows, ...fresh].map((one) => [one.id, one]));
  return [...byId.values()].sort((one, other) => newestFirst(one.updated_at, other.updated_at));
}
