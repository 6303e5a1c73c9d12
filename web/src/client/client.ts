/** Follow the streams of a server: what a page, or any other program in a browser, imports. */
import { QUIET, reduceChannel, type ChannelFrame, type ChannelState } from './channel';
import { listen, type Link } from './listen';
import { reduceList, UNKNOWN, type ListState } from './list';
import { FRAME_TYPES, type Frame, type ListFrame, type Message } from './protocol';
import { EMPTY, reduce, type State } from './reduce';

/** What can be followed: a conversation, the list of conversations, the broadcast channel. */
export type StreamName = `conversation/${string}` | 'conversations' | 'broadcast';

/** What the frames of a stream add up to. */
export type StateOf<N extends StreamName> = N extends 'conversations'
  ? ListState
  : N extends 'broadcast'
    ? ChannelState
    : State;
export type FrameOf<N extends StreamName> = N extends 'conversations'
  ? ListFrame
  : N extends 'broadcast'
    ? ChannelFrame
    : Frame;

/** Called with what there is at once, and after every frame; `frame` is the one that made the state, if one did. */
export type Hear<N extends StreamName> = (state: StateOf<N>, frame: FrameOf<N> | null) => void;

interface Followed {
  state: unknown;
  readonly hearers: Set<(state: never, frame: never) => void>;
  close(): void;
}

export class Client {
  readonly #followed = new Map<StreamName, Followed>();
  readonly #links = new Map<StreamName, Link>();
  readonly #hearers = new Set<(link: Link) => void>();

  /** Follow a stream until the function that is returned is called. */
  follow<N extends StreamName>(name: N, hear: Hear<N>): () => void {
    const followed = this.#followed.get(name) ?? this.#open(name);
    followed.hearers.add(hear);
    hear(followed.state as StateOf<N>, null);
    return () => {
      followed.hearers.delete(hear);
      if (followed.hearers.size > 0 || this.#followed.get(name) !== followed) return;
      followed.close();
      this.#followed.delete(name);
      this.#links.delete(name);
    };
  }

  /** Be told how the connection stands, now and whenever that changes, until the function that is returned is called. */
  onLink(hear: (link: Link) => void): () => void {
    this.#hearers.add(hear);
    hear(this.#link);
    return () => void this.#hearers.delete(hear);
  }

  /** Give a followed conversation whole messages that were read beside its stream. */
  fill(name: StreamName, messages: readonly Message[]): void {
    this.#heard(name, { type: 'filled', messages });
  }

  #open(name: StreamName): Followed {
    const id = name.split('/')[1];
    const url = name === 'broadcast' ? '/events' : `/${name.replace('conversation/', 'conversations/')}/events`;
    const followed: Followed = {
      state: name === 'broadcast' ? QUIET : name === 'conversations' ? UNKNOWN : EMPTY,
      hearers: new Set(),
      close: listen(url, FRAME_TYPES, {
        frame: (type, data, fresh) =>
          this.#heard(name, type === 'message' ? { type, text: data, notice: !fresh } : JSON.parse(data)),
        link: (link) => {
          if (link === 'gone') this.#heard(name, { type: 'conversation.deleted' });
          else this.#links.set(name, link);
          for (const hear of this.#hearers) hear(this.#link);
        },
        isGone: async () => !!id && (await fetch(`/conversations/${id}`).catch(() => null))?.status === 404,
      }),
    };
    this.#followed.set(name, followed);
    return followed;
  }

  #heard(name: StreamName, frame: unknown): void {
    const followed = this.#followed.get(name);
    if (!followed) return;
    const step = name === 'broadcast' ? reduceChannel : name === 'conversations' ? reduceList : reduce;
    followed.state = step(followed.state as never, frame as never);
    for (const hear of followed.hearers) hear(followed.state as never, frame as never);
  }

  get #link(): Link {
    const links = [...this.#links.values()];
    return links.find((link) => link === 'lost') ?? links.find((link) => link === 'open') ?? 'connecting';
  }
}

/** The client of this page: all that it follows shares what there is of connections. */
export const client = new Client();
