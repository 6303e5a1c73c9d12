/**
 * What is being written, kept by this browser: one draft for each conversation and tab, so that two tabs on one
 * conversation never write over each other. A tab without a draft takes over what another has left.
 */
import type { How } from '../thread/talk.svelte';

/** A request that has been sent and not been answered: sent again as it is, it is done once. */
export interface Pending {
  text: string;
  hows: How[];
  key: string;
  at: number;
}

export interface Kept {
  text: string;
  /** Instructions for a new conversation. */
  system: string;
  pending: Pending | null;
  at: number;
}

/** What of `Storage` is needed. */
export type Shelf = Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>;

const PREFIX = 'tickertape.draft.';
const FORGOTTEN = 30 * 24 * 3600 * 1000;

export class Drafts {
  readonly #shelf: Shelf | null;
  readonly #tab: string;

  /** `shelf` may be missing or full: then drafts live as long as the page. */
  constructor(shelf: Shelf | null, tab: string) {
    this.#shelf = shelf;
    this.#tab = tab;
  }

  /** The name of this tab's draft: an empty `id` is the conversation that is yet to begin. */
  nameOf(id: string): string {
    return `${PREFIX}${id || 'new'}.${this.#tab}`;
  }

  /** Return this tab's draft. */
  read(id: string): Kept | null {
    return this.#read(this.nameOf(id));
  }

  /** Keep this tab's draft; null forgets it. Answers whether that has worked. */
  keep(id: string, kept: Kept | null): boolean {
    try {
      if (!this.#shelf) return false;
      if (kept) this.#shelf.setItem(this.nameOf(id), JSON.stringify(kept));
      else this.#shelf.removeItem(this.nameOf(id));
      return true;
    } catch {
      return false;
    }
  }

  /** Make the newest draft that no tab shows this tab's own, and return it. `shown` holds the names of the others. */
  adopt(id: string, shown: ReadonlySet<string>): Kept | null {
    const left = this.#names()
      .filter((name) => name.startsWith(`${PREFIX}${id || 'new'}.`) && !shown.has(name))
      .map((name) => ({ name, kept: this.#read(name) }))
      .sort((one, other) => (other.kept?.at ?? 0) - (one.kept?.at ?? 0))[0];
    if (!left?.kept || !this.keep(id, left.kept)) return null;
    if (left.name !== this.nameOf(id)) this.#remove(left.name);
    return left.kept;
  }

  /** Forget what nobody has touched for a month, as of conversations that are long gone, and what is no draft. */
  prune(now: number): void {
    for (const name of this.#names()) {
      const kept = this.#read(name);
      if (!kept || now - kept.at > FORGOTTEN) this.#remove(name);
    }
  }

  #names(): string[] {
    try {
      const names = Array.from({ length: this.#shelf?.length ?? 0 }, (_, place) => this.#shelf?.key(place) ?? '');
      return names.filter((name) => name.startsWith(PREFIX));
    } catch {
      return [];
    }
  }

  #read(name: string): Kept | null {
    try {
      return keptOf(JSON.parse(this.#shelf?.getItem(name) ?? 'null') as Partial<Kept> | null);
    } catch {
      return null;
    }
  }

  #remove(name: string): void {
    try {
      this.#shelf?.removeItem(name);
    } catch {
      // It is no loss when it stays.
    }
  }
}

/** Anything may have been written there, by an older page too. */
function keptOf(value: Partial<Kept> | null): Kept | null {
  if (typeof value?.text !== 'string' || typeof value.at !== 'number') return null;
  const { text, at, pending } = value;
  const whole = typeof pending?.text === 'string' && typeof pending.key === 'string' && Array.isArray(pending.hows);
  return { text, at, system: typeof value.system === 'string' ? value.system : '', pending: whole ? pending : null };
}
