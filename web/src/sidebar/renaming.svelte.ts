/** A title that is being written anew. */
import { rename } from '../client/calls';
import type { Conversation } from '../client/protocol';

export class Renaming {
  text = $state('');
  trouble = $state('');
  saving = $state(false);
  /** Whether the field has been shown; it may come again where the row moves to another day. */
  begun = false;
  readonly #id: string;
  readonly #title: string;

  constructor({ id, title }: Conversation) {
    this.#id = id;
    this.#title = title;
    this.text = title;
  }

  /** Return the conversation under its new title; null where the server refuses it, and `trouble` says why. */
  async save(one: Conversation): Promise<Conversation | null> {
    if (this.saving) return null;
    if (this.text === this.#title) return one;
    this.saving = true;
    this.trouble = '';
    try {
      return (await rename(this.#id, this.text)).conversation;
    } catch (error) {
      this.trouble = `Not renamed: ${(error as Error).message}`;
      return null;
    } finally {
      this.saving = false;
    }
  }
}
