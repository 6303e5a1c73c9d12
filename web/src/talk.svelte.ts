/** The conversation that the page shows: a state that follows its stream, and what can be done with it. */
import { listen, type Link } from './listen';
import { post } from './post';
import { FRAME_TYPES, isLive, isWhole, type Conversation, type Frame, type Message, type Reply } from './protocol';
import { branch, EMPTY, reduce, type State } from './reduce';

export class Talk {
  id = $state('');
  state = $state.raw<State>(EMPTY);
  link = $state<Link>('connecting');

  readonly branch = $derived(branch(this.state));
  /** The reply of the shown branch that is being written; no other can be on its end. */
  readonly running = $derived(this.branch.findLast(isLive));
  readonly gone = $derived(this.link === 'gone' || this.state.deleted);
  #close = () => {};

  /** Show a conversation; without an id a new one, which begins with its first message. */
  open(id: string): void {
    this.#close();
    this.#close = () => {};
    this.id = id;
    this.state = EMPTY;
    this.link = 'connecting';
    if (!id) return;
    this.#close = listen(`${this.#path}/events`, FRAME_TYPES, {
      frame: (_type, data) => {
        this.state = reduce(this.state, JSON.parse(data) as Frame);
        if (this.state.deleted) this.#close();
      },
      link: (link) => (this.link = link),
      isGone: async () => (await fetch(`/conversations/${encodeURIComponent(id)}`).catch(() => null))?.status === 404,
    });
  }

  /** Ask; what the stream then brings is shown. Answers the id of the conversation. */
  async ask(prompt: string, key: string): Promise<string> {
    const path = this.id ? `${this.#path}/messages` : '/conversations';
    const { conversation } = (await post(path, { prompt }, key)) as { conversation: Conversation };
    return conversation.id;
  }

  async stop(): Promise<void> {
    if (this.running) await post(`${this.#path}/replies/${this.running.id}/stop`, {});
  }

  async retry(reply: Reply): Promise<void> {
    await post(`${this.#path}/replies/${reply.id}/retry`, {});
  }

  /** Read what a snapshot left out of the shown branch, from the newest page back. */
  async fill(): Promise<void> {
    const id = this.id;
    let before: string | null = '';
    while (before !== null && id === this.id && !this.branch.every(isWhole)) {
      const query: string = before && `&before=${encodeURIComponent(before)}`;
      const answer = await fetch(`${this.#path}/messages?limit=100${query}`);
      if (!answer.ok) return;
      const page = (await answer.json()) as { messages: Message[]; next: string | null };
      if (id === this.id) this.state = reduce(this.state, { type: 'filled', messages: page.messages });
      before = page.next;
    }
  }

  get #path(): string {
    return `/conversations/${encodeURIComponent(this.id)}`;
  }
}
