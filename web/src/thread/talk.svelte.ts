/** The conversation that the page shows: a state that follows its stream, and what can be done with it. */
import * as calls from '../client/calls';
import { client } from '../client/client';
import { isLive, isWhole, type Reply } from '../client/protocol';
import { branch, EMPTY, type State } from '../client/reduce';

export class Talk {
  id = $state('');
  state = $state.raw<State>(EMPTY);

  readonly branch = $derived(branch(this.state));
  /** The reply of the shown branch that is being written; no other can be on its end. */
  readonly running = $derived(this.branch.findLast(isLive));
  readonly gone = $derived(this.state.deleted);
  #close = () => {};

  /** Show a conversation; without an id a new one, which begins with its first message. */
  open(id: string): void {
    this.#close();
    this.id = id;
    this.state = EMPTY;
    this.#close = id ? client.follow(`conversation/${id}`, (state) => (this.state = state)) : () => {};
  }

  /** Ask; what the stream then brings is shown. Answers the id of the conversation. */
  async ask(prompt: string, key: string): Promise<string> {
    return (await calls.ask(this.id, { prompt }, key)).conversation.id;
  }

  async stop(): Promise<void> {
    if (this.running) await calls.stop(this.id, this.running.id);
  }

  async retry(reply: Reply): Promise<void> {
    await calls.retry(this.id, reply.id);
  }

  /** Read what a snapshot left out of the shown branch, from the newest page back. */
  async fill(): Promise<void> {
    const id = this.id;
    let before: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof calls.readMessages>> = await calls.readMessages(id, before);
      client.fill(`conversation/${id}`, page.messages);
      before = page.next;
    } while (before !== null && id === this.id && !this.branch.every(isWhole));
  }
}
