/** A page with a client, and what it shows. */
import { Client, type Link } from '../client';
import type { ListState } from '../list';
import type { StreamName } from '../held';
import type { ChannelState } from '../channel';
import type { State } from '../reduce';
import type { Origin, Page } from './origin';

export class View {
  readonly client: Client;
  readonly links: [Link, string | null][] = [];
  readonly states = new Map<StreamName, State>();
  readonly frames: string[] = [];
  list: string[] = [];
  lines: ChannelState['lines'] = [];
  #stops = new Map<StreamName, () => void>();

  constructor(
    readonly page: Page,
    ...names: StreamName[]
  ) {
    this.client = new Client('', page);
    this.client.onLink((link, { reason }) => this.links.push([link, reason]));
    for (const name of names) this.follow(name);
  }

  static on(origin: Origin, ...names: StreamName[]): View {
    return new View(origin.page(), ...names);
  }

  follow(name: StreamName): void {
    const stop = this.client.follow(name, (state, frame) => {
      if (frame) this.frames.push(frame.type);
      if (name === 'broadcast') this.lines = (state as ChannelState).lines;
      else if (name === 'conversations') this.list = (state as ListState).conversations.map(({ id }) => id);
      else this.states.set(name, state as State);
    });
    this.#stops.set(name, stop);
  }

  unfollow(name: StreamName): void {
    this.#stops.get(name)?.();
    this.#stops.delete(name);
    this.states.delete(name);
  }

  get following(): StreamName[] {
    return [...this.#stops.keys()];
  }

  get link(): Link {
    return this.links.at(-1)![0];
  }

  text(name: StreamName): string {
    return (this.states.get(name)?.messages[0] as { text?: string } | undefined)?.text ?? '';
  }

  get said(): string[] {
    return this.lines.filter(({ notice }) => !notice).map(({ text }) => text);
  }

  /** Close the page as people do. */
  close(): void {
    this.page.meet('leave');
    this.page.crash();
  }
}
