/** Who is asked, with which options; with a second responder, both are asked side by side. This browser remembers. */
import { readResponders } from '../client/calls';
import type { Responder } from '../client/protocol';
import { keep, recall } from '../kept';
import type { How } from '../thread/talk.svelte';
import type { Given, Reading } from './schema';

/** One of those who are asked. Without a name it is, in the first place, the server's default, in the second nobody. */
export class Slot {
  name = $state('');
  /** What stands in the fields of its options, and what that comes to. */
  given = $state.raw<Given>({});
  reading = $state.raw<Reading>({ options: {}, wrong: {} });
  readonly #place: number;

  constructor(place: number) {
    this.#place = place;
    this.#recall(recall(`responder.${place}`) ?? '');
  }

  /** Choose a responder, with the options that it had when it was chosen last. */
  choose(name: string): void {
    this.#recall(name);
    keep(`responder.${this.#place}`, name || null);
  }

  /** Take over what stands in the fields. */
  fill(given: Given, reading: Reading): void {
    this.given = given;
    this.reading = reading;
    keep(`options.${this.name}`, Object.keys(given).length > 0 ? JSON.stringify({ given, reading }) : null);
  }

  get how(): How {
    const { options } = this.reading;
    return { ...(this.name && { responder: this.name }), ...(Object.keys(options).length > 0 && { options }) };
  }

  #recall(name: string): void {
    this.name = name;
    const { given, reading } = keptOptions(recall(`options.${name}`));
    this.given = given;
    this.reading = reading;
  }
}

export class Choice {
  readonly first = new Slot(0);
  readonly second = new Slot(1);
  /** The responders of the server; null until they are known. */
  responders = $state.raw<Responder[] | null>(null);
  /** A word on what had to be changed. */
  note = $state('');
  /** Why the responders could not be read. */
  trouble = $state('');

  readonly asked = $derived(this.second.name ? [this.first, this.second] : [this.first]);
  readonly label = $derived(this.asked.map(({ name }) => name || 'Default').join(' + '));
  readonly wrong = $derived(this.asked.some(({ reading }) => Object.keys(reading.wrong).length > 0));

  /** Choose who answers; nobody is compared with themselves. */
  choose(name: string): void {
    this.first.choose(name);
    this.note = '';
    if (this.second.name === name) this.second.choose('');
  }

  /** Read which responders there are; one that has gone is not chosen any more. */
  async read(): Promise<void> {
    try {
      this.responders = await readResponders();
      const names = new Set(this.responders.map(({ name }) => name));
      const gone = [this.first, this.second].filter(({ name }) => name && !names.has(name));
      this.trouble = '';
      this.note = gone.map(({ name }) => `The responder ${name} is no longer there.`).join(' ');
      if (gone.includes(this.first)) this.note += ' The default one will answer.';
      for (const slot of gone) slot.choose('');
    } catch (error) {
      this.trouble = `The responders could not be read: ${(error as Error).message}`;
    }
  }
}

function keptOptions(text: string | null): { given: Given; reading: Reading } {
  try {
    const { given, reading } = JSON.parse(text ?? '{}') as { given?: Given; reading?: Reading };
    if (given && reading?.options && reading.wrong) return { given, reading };
  } catch {
    // What another page has written there is no choice.
  }
  return { given: {}, reading: { options: {}, wrong: {} } };
}
