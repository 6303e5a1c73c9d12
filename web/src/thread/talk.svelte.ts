/** The conversation that the page shows: a state that follows its stream, and what can be done with it. */
import * as calls from '../client/calls';
import { client } from '../client/client';
import { newKey, type Refused } from '../client/post';
import { CLIENT, isLive, isReply, isWhole, type Asked, type Message, type Reply } from '../client/protocol';
import { EMPTY, type State } from '../client/reduce';
import { besideEnd, pairAt, shape, shownPath, versionsOf, type Node, type Pair, type Tree, type Versions } from './branches';
import { keep, recall } from './session';

/** Who is to answer, and how; `parent` where it is not the head that is asked on. */
export type How = Omit<calls.Question, 'prompt'>;

export type Retry = (how: How, key: string) => Promise<void>;

/** How many messages a page holds, and how many of a chosen branch are read before it is shown. */
const PAGE = 50;

/** What only makes a reply longer. */
const PIECES: ReadonlySet<string> = new Set(['reply.delta', 'reply.tool_call', 'reply.tool_result']);

export class Talk {
  id = $state('');
  state = $state.raw<State>(EMPTY);
  /** The message through which the shown branch leads; null follows `head`. It is this tab's own, and kept by it. */
  chosen = $state<string | null>(null);
  /** Grows with everything that this tab asks: the end is then what its reader wants to see. */
  asked = $state(0);
  /** The message that a search has found, until it is shown. */
  sought = $state<string | null>(null);
  /** Why earlier messages could not be read. */
  trouble = $state('');
  reading = $state(false);
  /** Why one of those that were to be compared was not asked. */
  unasked = $state<{ id: string; why: string } | null>(null);

  /** These stay the same while a reply is written, so that only what shows that reply looks at each piece of it. */
  tree = $state.raw<Tree>(shape([]));
  #head = $state<string | null>(null);
  #nodes = $state.raw<readonly Node[]>([]);
  readonly #ids = $derived(shownPath(this.tree, this.#head, this.chosen));
  /** The id of the last message of the shown branch. */
  readonly last = $derived(this.#ids.at(-1));
  /** The shown branch from its root; far back there are outlines. What is being written is as it began: see `now`. */
  readonly branch: readonly Node[] = $derived(
    this.#ids.map((id) => this.#nodes[this.tree.places.get(id) ?? -1]).filter((node) => node !== undefined),
  );
  /** What of it can be shown: all behind its last outline. */
  readonly shown = $derived(this.branch.slice(this.branch.findLastIndex((node) => !isWhole(node)) + 1).filter(isWhole));
  /** What its end compares, if it does. */
  readonly pair = $derived(pairAt(this.tree, this.#nodes, this.#ids, this.chosen));
  /** The replies at its end that are being written. */
  readonly live: readonly Reply[] = $derived((this.pair?.replies ?? this.shown.filter(isReply)).filter(isLive));
  readonly running = $derived(this.live.at(-1));
  /** Whether messages before those that are shown are still to be read. */
  readonly more = $derived(this.shown.length < this.branch.length);
  readonly known = $derived(this.state.conversation !== null);
  readonly gone = $derived(this.state.deleted);

  #close = () => {};
  #before: string | null = null;
  #reading: Promise<boolean> | undefined;
  #awaited: string | null = null;

  /** Show a conversation; without an id a new one, which begins with its first message. */
  open(id: string): void {
    this.#close();
    this.id = id;
    this.#take(EMPTY);
    this.chosen = id ? recall(`branch.${id}`) : null;
    this.sought = null;
    this.trouble = '';
    this.reading = false;
    this.#before = null;
    this.#reading = undefined;
    this.#awaited = null;
    this.#close = id ? client.follow(`conversation/${id}`, (state, frame) => this.#heard(state, frame?.type)) : () => {};
  }

  find(id: string): Node | undefined {
    return this.state.messages[this.tree.places.get(id) ?? -1];
  }

  /** A reply with all that has been written of it. */
  now(reply: Reply): Reply {
    const node = isLive(reply) ? this.find(reply.id) : undefined;
    return node && isReply(node) ? node : reply;
  }

  /** What stands beside a message; what is compared counts as one. */
  versions(message: Node, pair?: Pair): Versions {
    const all = versionsOf(this.tree, message);
    const others = pair?.question.id === message.id ? pair.replies.map((reply) => reply.parent) : [];
    const ids = all.ids.filter((id) => id === message.id || !others.includes(id));
    return { ids, at: ids.indexOf(message.id) };
  }

  /** Whether a reply waits for the one before it to end. */
  isQueued(reply: Reply): boolean {
    const before = reply.status === 'accepted' ? this.find(this.find(reply.parent ?? '')?.parent ?? '') : undefined;
    return before !== undefined && isLive(before);
  }

  /** Show the newest branch through a message, here and after a reload; its content is read first, then `around` called. */
  async choose(id: string, around: (show: () => void) => void = (show) => show()): Promise<void> {
    const talk = this.id;
    await this.#read(() => this.#isWhole(shownPath(this.tree, this.#head, id), PAGE));
    if (talk === this.id) around(() => this.#show(id));
  }

  /** Show a message on whichever branch it stands; all behind it is read first. What goes wrong is told by `trouble`. */
  async reach(id: string): Promise<void> {
    const talk = this.id;
    if (!this.tree.places.has(id)) return;
    await this.#tryToRead(() => {
      const ids = this.#pathTo(id);
      return this.#isWhole(ids, ids.length - ids.indexOf(id));
    });
    if (talk === this.id && !this.#ids.includes(id)) this.#show(id);
  }

  /** Ask on; what the stream then brings is shown. Answers the id of the conversation. */
  async ask(prompt: string, key: string, how: How = {}): Promise<string> {
    return (await this.#ask(prompt, key, how, ({ message }) => message?.id)).conversation.id;
  }

  /** Ask different responders the same, beside each other. Answers the id of the conversation. */
  async compare(prompt: string, hows: readonly How[], key: string): Promise<string> {
    const [first, ...others] = hows;
    const { conversation, message } = await this.#ask(prompt, `${key}-1`, first ?? {}, ({ message }) => message?.parent);
    const parent = message?.parent ?? null;
    this.unasked = null;
    for (const [place, how] of others.entries()) {
      try {
        await calls.ask(conversation.id, { ...how, prompt, parent }, `${key}-${place + 2}`);
      } catch (error) {
        const { message, status } = error as Refused;
        // The same requests can be sent again; but what is refused for good must not make the first one be asked twice.
        if (!status || status === 429 || status >= 500) throw error;
        this.unasked = { id: conversation.id, why: `${how.responder ?? 'The other one'} was not asked: ${message}` };
      }
    }
    return conversation.id;
  }

  /** Ask something else in a question's place, beside it, of who answered that. */
  async edit(question: Node, prompt: string, key: string): Promise<void> {
    const { id } = this;
    const old = this.branch.find((node) => node.parent === question.id);
    const how = old && isReply(old) && old.responder !== CLIENT ? { responder: old.responder } : {};
    const { message } = await calls.ask(id, { prompt, parent: question.parent, ...how }, key);
    if (message && id === this.id) this.#showAsked(message.id);
  }

  /** Answer the same question anew, beside a reply; one that is compared stays so. */
  async retry(reply: Reply, how: How = {}, key = newKey()): Promise<void> {
    const { id } = this;
    const compared = this.pair?.replies.some((one) => one.id === reply.id);
    const asked = await calls.retry(id, reply.id, how, key);
    if (id === this.id) this.#showAsked((compared && reply.parent) || asked.reply.id);
  }

  /** Stop a reply, or all at the end of the shown branch that wait for no other one. */
  async stop(reply?: Reply): Promise<void> {
    const { id } = this;
    await Promise.all((reply ? [reply] : this.live.filter((one) => !this.isQueued(one))).map((one) => calls.stop(id, one.id)));
  }

  /** Read the page before what is shown. What goes wrong is told by `trouble`. */
  async earlier(): Promise<void> {
    const { length } = this.shown;
    await this.#tryToRead(() => this.shown.length > length);
  }

  /** Read all that is missing of the shown branch. Throws `Refused`. */
  fill(): Promise<void> {
    return this.#read(() => !this.more);
  }

  async #ask(prompt: string, key: string, how: How, shown: (asked: Asked) => string | null | undefined): Promise<Asked> {
    const { id } = this;
    const asked = await calls.ask(id, { prompt, ...how }, key);
    if (id === this.id) this.asked += 1;
    // Who follows the head is led by it; a branch that was chosen is only asked on by its name.
    const now = how.parent === undefined ? null : shown(asked);
    if (id === this.id && now) this.#show(now);
    return asked;
  }

  /** The branch that is shown where a message is on it, else the newest one through it. */
  #pathTo(id: string): readonly string[] {
    return this.#ids.includes(id) ? this.#ids : shownPath(this.tree, this.#head, id);
  }

  #showAsked(id: string): void {
    this.asked += 1;
    this.#show(id);
  }

  #show(id: string): void {
    keep(`branch.${this.id}`, id);
    if (this.tree.places.has(id)) this.chosen = id;
    else this.#awaited = id; // the stream brings it; until then what is shown stays
  }

  #heard(state: State, type: string | undefined): void {
    const old = this.state.messages;
    if (type && PIECES.has(type)) this.state = state;
    else this.#take(state);
    if (type === 'snapshot') this.#refill(old);
    if (this.#awaited !== null && this.tree.places.has(this.#awaited)) {
      this.chosen = this.#awaited;
      this.#awaited = null;
    }
    if (type !== 'reply.delta' && this.known) void this.#complete();
  }

  #take(state: State): void {
    this.state = state;
    this.tree = shape(state.messages, this.tree);
    this.#nodes = state.messages;
    this.#head = state.conversation?.head ?? null;
  }

  /** A snapshot in the middle leaves out what had been read before; what has ended is as it was. */
  #refill(old: readonly Node[]): void {
    this.#before = null;
    const whole = old.filter((node): node is Message => isWhole(node) && !isLive(node));
    if (whole.length) client.fill(`conversation/${this.id}`, whole);
  }

  /** Read what the end of the shown branch needs: a snapshot holds that of `head` only. */
  #complete(): Promise<void> {
    return this.#tryToRead(() => this.#isWhole(this.#ids, this.chosen === null ? 1 : PAGE));
  }

  /** Whether the last messages of a branch can be shown, and what stands beside its end. */
  #isWhole(ids: readonly string[], last: number): boolean {
    const end = ids.slice(-last);
    return [...end, ...besideEnd(this.tree, ids)].every((id) => {
      const node = this.find(id);
      return node === undefined || isWhole(node);
    });
  }

  async #tryToRead(enough: () => boolean): Promise<void> {
    try {
      await this.#read(enough);
    } catch (error) {
      this.trouble = (error as Error).message;
    }
  }

  /** Read pages, from the newest back, until there is enough or no more. */
  async #read(enough: () => boolean): Promise<void> {
    const { id } = this;
    let more = true;
    while (id === this.id && more && !enough()) {
      this.#reading ??= this.#readPage(id).finally(() => {
        if (id === this.id) this.#reading = undefined;
      });
      more = await this.#reading;
    }
  }

  async #readPage(id: string): Promise<boolean> {
    this.reading = true;
    this.trouble = '';
    try {
      const page = await calls.readMessages(id, this.#before, PAGE);
      if (id !== this.id) return false;
      client.fill(`conversation/${id}`, page.messages);
      this.#before = page.next;
      return page.next !== null;
    } finally {
      if (id === this.id) this.reading = false;
    }
  }
}
