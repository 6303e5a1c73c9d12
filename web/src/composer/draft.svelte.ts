/** What somebody is writing in a conversation, from the first letter until the server has it. */
import { newKey, Refused } from '../client/post';
import type { How } from '../thread/talk.svelte';
import { Drafts, type Kept, type Pending } from './drafts';
import { nameTab, showing, shown } from './place';

/** Answers the id of the conversation that it went to, if it was to one. */
export type Post = (text: string, key: string, hows: How[]) => Promise<string | void>;

/** For this long after the page has gone in the middle of a send, the next one goes on with it unasked. */
const FRESH = 10 * 60 * 1000;

const drafts = new Drafts(shelf(), nameTab());
drafts.prune(Date.now());

export class Draft {
  /** Why it was not sent, for people; the server's own words, and the field of the request that they are about. */
  trouble = $state('');
  refused = $state('');
  path = $state('');
  sending = $state(false);
  readonly #id: string | null;
  #text = $state('');
  #system = $state('');
  #pending = $state.raw<Pending | null>(null);
  #worth = $state(false); // the same request may succeed later
  #ahead = false; // nothing more can be kept: what is here is newer than what is there

  /** Without an id it is kept by nobody. */
  constructor(id: string | null = null) {
    this.#id = id;
  }

  get text(): string {
    return this.#text;
  }

  set text(text: string) {
    this.#text = text;
    this.#keep();
  }

  /** Instructions for the responder, which begin a new conversation. */
  get system(): string {
    return this.#system;
  }

  set system(system: string) {
    this.#system = system;
    this.#keep();
  }

  /** Whether the text is as it was when it could not be sent, so that the same request can be tried again. */
  get again(): boolean {
    return !this.sending && this.#worth && this.#pending?.text === this.#text;
  }

  /** Show what was being written here, until the function that is returned is called. */
  show(post: Post): () => void {
    let left = false;
    const id = this.#id ?? '';
    const hide = showing(drafts.nameOf(id));
    this.#take(drafts.read(id));
    void shown().then((names) => {
      if (left) return;
      if (!this.#text && !this.#system && !this.sending) this.#take(drafts.adopt(id, names));
      this.#resume(post);
    });
    return () => {
      left = true;
      hide();
    };
  }

  /** Send the text as it stands, and take it away when the server has it; what was written behind it stays. */
  async send(post: Post, hows: How[] = []): Promise<void> {
    const [text, pending] = [this.#text, this.#pending];
    const same = pending?.text === text && JSON.stringify(pending.hows) === JSON.stringify(hows);
    await this.#send(post, same ? pending : { text, hows, key: newKey(), at: Date.now() });
  }

  /** Take back why it was not sent: what was wrong has been changed. */
  forgive(): void {
    this.#say('');
  }

  /** Send the same request again. */
  async sendAgain(post: Post): Promise<void> {
    if (this.#pending) await this.#send(post, this.#pending);
  }

  async #send(post: Post, pending: Pending): Promise<void> {
    if (this.sending) return;
    this.#pending = pending;
    const system = this.#system;
    this.sending = true;
    this.#say('');
    this.#keep();
    try {
      const id = await post(pending.text, pending.key, pending.hows);
      this.#pending = null;
      if (this.#text.startsWith(pending.text)) this.#text = this.#text.slice(pending.text.length).trimStart();
      if (this.#system === system) this.#system = ''; // else it was written anew meanwhile
      if (this.#id === '' && id) this.#goOnIn(id);
    } catch (error) {
      this.#refuse(error);
    } finally {
      this.sending = false;
      this.#keep();
    }
  }

  /** What was written behind a first message goes with it to where the page goes. */
  #goOnIn(id: string): void {
    if (this.#text) draftOf(id).text = this.#text;
    this.#text = '';
  }

  /** Go on with what was being sent when the page went away. */
  #resume(post: Post): void {
    const pending = this.#pending;
    if (!pending || this.sending || this.trouble) return;
    if (Date.now() - pending.at < FRESH) void this.#send(post, pending);
    else this.#say('The page was closed while this was being sent. It may have arrived.', true);
  }

  #take(kept: Kept | null): void {
    if (this.sending || this.#ahead) return;
    if (!kept) this.#say('');
    this.#text = kept?.text ?? '';
    this.#system = kept?.system ?? '';
    this.#pending = kept?.pending ?? null;
  }

  #refuse(error: unknown): void {
    const { message, status, path } = error instanceof Refused ? error : new Refused(`${error}`);
    const option = /^options\.(.+)/s.exec(path)?.[1];
    const again = status === 0 || status === 429 || status >= 500;
    this.#say(`Not sent${option ? `, for the option ${option}` : ''}: ${message}`, again);
    [this.refused, this.path] = [message, path];
    if (!this.#worth) this.#pending = null;
  }

  #say(trouble: string, worth = false): void {
    this.trouble = trouble;
    this.refused = this.path = '';
    this.#worth = worth;
  }

  #keep(): void {
    if (this.#id === null) return;
    const [text, system] = [this.#text, this.#system];
    // Who changes the text of a request that has failed does not want it sent any more.
    const pending = this.sending || this.#pending?.text === text ? this.#pending : null;
    const kept = text || system || pending ? { text, system, pending, at: Date.now() } : null;
    this.#ahead = !drafts.keep(this.#id, kept);
  }
}

function shelf(): Storage | null {
  try {
    return localStorage;
  } catch {
    return null;
  }
}

const known = new Map<string, Draft>();

/** Return the draft of a conversation, the same one as long as the page lives; without an id, of a new one. */
export function draftOf(id: string): Draft {
  const draft = known.get(id) ?? new Draft(id);
  known.set(id, draft);
  return draft;
}
