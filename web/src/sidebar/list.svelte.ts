/**
 * The conversations that this page knows of: what the list's stream says, and older ones, read page by page.
 *
 * Whatever changes comes to the top. So where the list of before and the list of now meet, what is older has not
 * changed: some of it may have been deleted unheard, and that is read again where somebody looks at it, nowhere else.
 */
import { readList } from '../client/calls';
import { newestFirst, reduceList, type ListState } from '../client/list';
import type { Conversation, ListFrame } from '../client/protocol';

/** How many a snapshot holds when there are more. */
const FIRST_PAGE = 50;
/** Times that are newer and older than any. */
const NOW = '9999';
const NEVER = '';

interface Page {
  conversations: readonly Conversation[];
  next: string | null;
}

type Read = (before: string | null) => Promise<Page>;

/** The times of the newest and of the oldest conversation in sight; null where none is. */
type Sight = () => readonly [newest: string, oldest: string] | null;

/** Where a page can be read: what is older than a time, as far as the next mark. */
interface Mark {
  readonly before: string | null;
  readonly than: string;
  readonly is: 'sure' | 'unsure' | 'unread';
}

const TOP: Mark = { before: null, than: NOW, is: 'unread' };
const isNewer = (one: string, other: string) => newestFirst(one, other) < 0;

export class Conversations {
  /** Newest activity first. */
  rows = $state.raw<readonly Conversation[]>([]);
  known = $state(false);
  reading = $state(false);
  /** Why older ones could not be read. */
  trouble = $state('');
  /** Where the next page begins; null at the end, empty before the first. */
  next = $state.raw<string | null>('');
  /** From the newest to the oldest; the last one is of what has not been read yet, if there is more. */
  #marks: readonly Mark[] = [TOP];
  /** What is newer is known from the stream. */
  #floor = NOW;
  /** The list of before, while what is read from the top has not met it. */
  #behind: readonly Conversation[] | null = null;
  /** Whether the connection was lost, so that what is in sight is read again at once, and not when somebody scrolls. */
  #doubted = false;
  /** The state that was taken up last. */
  #taken: ListState['conversations'] = [];
  /** What the stream has told of since the read under way began: that is newer than what the read finds. */
  #heard = new Set<string>();
  #round = 0;
  readonly #read: Read;
  readonly #sight: Sight;

  constructor(read: Read = readList, sight: Sight = () => null) {
    this.#read = read;
    this.#sight = sight;
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

  /** Read the next page, if there is one and none is being read; what is in doubt and in sight comes first. */
  async more(): Promise<void> {
    await this.#work(this.#doubtful() ?? this.#marks.find(({ is }) => is === 'unread'));
  }

  /** The connection was lost: what was deleted meanwhile, nobody will tell of. */
  doubt(): void {
    this.#doubted = true;
  }

  /** Somebody looks through the list: of what they see, what may be gone is read again. */
  look(): void {
    if (!this.trouble) void this.#work(this.#doubtful());
  }

  /** Begin anew with the first page, as the server has it now; `whole` where that is all. */
  #begin(first: readonly Conversation[], whole: boolean): void {
    const last = whole ? undefined : first.at(-1);
    const older = last ? this.rows.filter(({ updated_at }) => isNewer(last.updated_at, updated_at)) : [];
    const meet = this.rows.some(({ id, updated_at }) => id === last?.id && updated_at === last.updated_at);
    if (older.length === 0) this.#marks = last ? [TOP] : [];
    if (older.length === 0) this.#behind = null;
    else if (!meet) this.#behind ??= this.rows;
    this.#floor = last?.updated_at ?? NEVER;
    this.#anew(merged(older, first));
  }

  /** Take over what another tab holds: some of a first page may be missing from it, or be of long ago. */
  #adopt(held: readonly Conversation[]): void {
    if (this.rows.length === 0) this.#marks = [TOP];
    else this.#behind ??= this.rows;
    this.#floor = NOW;
    this.#anew(merged(this.rows, held));
  }

  #anew(rows: readonly Conversation[]): void {
    this.#round += 1; // what is still being read is of before
    this.reading = false;
    this.trouble = '';
    this.known = true;
    this.rows = settled(this.rows, rows);
    this.#mark(this.#marks.map((mark) => (mark.is === 'sure' ? { ...mark, is: 'unsure' } : mark)));
    if (this.#behind || this.#doubted) void this.#work(this.#doubtful());
    this.#doubted = false;
  }

  /** The first of what has to be read again. */
  #doubtful(): Mark | undefined {
    if (this.#behind) return this.#marks.find(({ is }) => is !== 'sure');
    if (!this.#marks.some(({ is }) => is === 'unsure')) return undefined;
    const [newest, oldest] = this.#sight() ?? [NEVER, NOW];
    if (!isNewer(this.#floor, oldest)) return undefined;
    const from = isNewer(newest, this.#floor) ? this.#floor : newest;
    const reaches = (place: number) => !isNewer(this.#marks[place]?.than ?? NEVER, from);
    return this.#marks.find(({ than, is }, place) => is === 'unsure' && isNewer(than, oldest) && reaches(place + 1));
  }

  async #work(begin: Mark | undefined): Promise<void> {
    if (this.reading || !begin) return;
    const round = this.#round;
    this.reading = true;
    this.trouble = '';
    try {
      for (let mark: Mark | undefined = begin; mark; mark = this.#doubtful()) {
        this.#heard = new Set();
        const page = await this.#read(mark.before);
        if (round !== this.#round) return;
        this.#take(mark, page);
      }
    } catch (error) {
      if (round === this.#round) this.trouble = (error as Error).message;
    } finally {
      if (round === this.#round) this.reading = false;
    }
  }

  /** Take up a page: it tells of everything between its mark and its end, but for what was heard meanwhile. */
  #take(mark: Mark, { conversations, next }: Page): void {
    const end = (next !== null && conversations.at(-1)?.updated_at) || NEVER;
    const isOutside = ({ updated_at }: Conversation) => !isNewer(mark.than, updated_at) || !isNewer(updated_at, end);
    const kept = this.rows.filter((one) => this.#heard.has(one.id) || isOutside(one));
    const found = conversations.filter(({ id }) => !this.#heard.has(id));
    if (this.#behind && (meets(this.#behind, conversations) || isNewer(this.#behind.at(-1)?.updated_at ?? NOW, end))) {
      this.#behind = null;
    }
    this.rows = settled(this.rows, merged(kept, found));
    const at = this.#marks.indexOf(mark);
    const behind = this.#marks.slice(at + 1);
    const passed = behind.filter(({ than }) => !isNewer(end, than));
    const is = (passed.at(-1) ?? { is: mark.is === 'unread' ? mark.is : 'unsure' }).is;
    const here: Mark[] = next === null ? [] : [{ before: next, than: end, is }];
    this.#mark([...this.#marks.slice(0, at), { ...mark, is: 'sure' }, ...here, ...behind.slice(passed.length)]);
  }

  #mark(marks: readonly Mark[]): void {
    this.#marks = marks;
    const last = marks.at(-1);
    this.next = last?.is === 'unread' ? (last.before ?? '') : null;
  }
}

/** Whether a list holds one of these as it is. */
function meets(list: readonly Conversation[], ones: readonly Conversation[]): boolean {
  const times = new Map(list.map(({ id, updated_at }) => [id, updated_at]));
  return ones.some(({ id, updated_at }) => times.get(id) === updated_at);
}

/** A list with the very objects of before for what is as it was: a page need not look at these again. */
function settled(before: readonly Conversation[], rows: readonly Conversation[]): Conversation[] {
  const byId = new Map(before.map((one) => [one.id, one]));
  return rows.map((one) => {
    const was = byId.get(one.id);
    return was && was.updated_at === one.updated_at && was.title === one.title && `${was.running}` === `${one.running}` ? was : one;
  });
}

/** Both lists as one, in order; of a conversation in both, the one in `fresh`. */
function merged(rows: readonly Conversation[], fresh: readonly Conversation[]): Conversation[] {
  const byId = new Map([...rows, ...fresh].map((one) => [one.id, one]));
  return [...byId.values()].sort((one, other) => newestFirst(one.updated_at, other.updated_at));
}
