/** What has been deleted on this page: hidden at once, deleted by the server a little later, unless it is undone. */
import { remove } from '../client/calls';
import type { Refused } from '../client/post';
import type { Conversation } from '../client/protocol';

export const UNDO_WITHIN = 8000;

interface Deletion {
  readonly id: string;
  readonly title: string;
  /** Whether it was the conversation that the page showed. */
  readonly shown: boolean;
}

interface Failure {
  readonly id: string;
  readonly text: string;
}

export class Deletions {
  /** Those that can be undone, oldest first. */
  pending = $state.raw<readonly Deletion[]>([]);
  /** Those that the server refused. */
  failures = $state.raw<readonly Failure[]>([]);
  /** What no list shows: pending, being deleted, or deleted; no id is given twice. */
  hidden = $state.raw<ReadonlySet<string>>(new Set());
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();

  /** Hide a conversation, and delete it when the time to undo that is over. */
  begin({ id, title }: Conversation, shown: boolean): void {
    if (this.hidden.has(id)) return;
    this.hidden = new Set(this.hidden).add(id);
    this.failures = this.failures.filter((one) => one.id !== id);
    this.pending = [...this.pending, { id, title, shown }];
    this.#timers.set(id, setTimeout(() => void this.#send(id, false), UNDO_WITHIN));
  }

  /** Bring a conversation back; returns what was to be deleted, if it was not too late. */
  undo(id: string): Deletion | undefined {
    const deletion = this.#settle(id);
    if (deletion) this.#show(id);
    return deletion;
  }

  /** A conversation was deleted by somebody else: there is nothing left to undo. */
  gone(id: string): void {
    this.#settle(id);
    this.failures = this.failures.filter((one) => one.id !== id);
  }

  /** The page goes: what is pending is deleted now, by requests that outlive it. */
  flush(): void {
    for (const { id } of this.pending) void this.#send(id, true);
  }

  dismiss(id: string): void {
    this.failures = this.failures.filter((one) => one.id !== id);
  }

  async #send(id: string, keepalive: boolean): Promise<void> {
    const deletion = this.#settle(id);
    try {
      await remove(id, keepalive);
    } catch (error) {
      if ((error as Refused).status === 404) return; // it is gone, which is what was asked for
      this.#show(id);
      this.failures = [...this.failures, { id, text: `“${deletion?.title ?? ''}” is not deleted: ${(error as Error).message}` }];
    }
  }

  #settle(id: string): Deletion | undefined {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    const deletion = this.pending.find((one) => one.id === id);
    this.pending = this.pending.filter((one) => one.id !== id);
    return deletion;
  }

  #show(id: string): void {
    this.hidden = new Set([...this.hidden].filter((one) => one !== id));
  }
}
