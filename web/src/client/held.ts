/** What is held of a stream: what its frames add up to, and how far that goes. Pure; what is held is never changed. */
import { QUIET, reduceChannel, type ChannelFrame, type ChannelState } from './channel';
import { reduceList, UNKNOWN, type ListState } from './list';
import { isReply, type Frame, type ListFrame, type LogEvent } from './protocol';
import { EMPTY, reduce, withKept, type State } from './reduce';

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

export interface Held {
  readonly state: State | ListState | ChannelState;
  /** The id of the last event in `state`. Null where a snapshot, or `hello`, must first say where it stands. */
  readonly cursor: string | null;
  /** Whether the stream has ended for good. */
  readonly over: boolean;
  /** Of the channel, which has no snapshots: the cursor from which on nothing is missing. */
  readonly since?: string | null;
}

/** A frame with its stream and, where it has one, its id. */
export interface Heard {
  readonly stream: StreamName;
  readonly id: string | null;
  readonly frame: { readonly type: string };
  /** The cursor of whoever tells of it, before it: who stands there or further has missed nothing in between. */
  readonly after?: string | null;
}

/** The cursor of a list that is kept right; its frames have no ids. */
const LIVE = 'live';
const NAME = /^(conversations|broadcast|conversation\/(.*))$/s;
const ID = /^[\w-]{1,128}$/;

/** What is held of a stream before its first frame. Throws where a name is none. */
export function nothing(name: StreamName): Held {
  const [, whole, id] = NAME.exec(name) ?? [];
  if (!whole) throw new TypeError("A stream is called conversation/<id>, conversations or broadcast.");
  if (name === 'conversations') return { state: UNKNOWN, cursor: null, over: false };
  if (name === 'broadcast') return { state: QUIET, cursor: null, over: false };
  const over = !ID.test(id!); // there is none of that name, and to ask for it would be refused, with all others
  return { state: { ...EMPTY, deleted: over }, cursor: null, over };
}

/**
 * Bring what is held forward by one frame. `known` is a frame that has been dealt with, or that a state still to come
 * holds; `missed` one that cannot follow on what is held.
 */
export function step(held: Held, heard: Heard): Held | 'known' | 'missed' {
  if (held.over) return 'known';
  const { stream, id, frame } = heard;
  switch (frame.type) {
    case 'hello':
      return greeted(held, stream, frame as Extract<Frame, { type: 'hello' }>);
    case 'snapshot':
      if (id ? reached(held.cursor, id) : stream !== 'conversations') return id ? 'known' : 'missed';
      return { ...held, state: folded(held, stream, frame), cursor: stream === 'conversations' ? LIVE : id };
    case 'bye':
      return { ...held, state: folded(held, stream, frame), over: (frame as { reason?: string }).reason === 'deleted' };
    case 'ping':
      return held;
  }
  if (held.cursor === null) return 'known';
  if (id === null) return { ...held, state: folded(held, stream, frame) };
  if (reached(held.cursor, id)) return 'known';
  if (!isSame(held.cursor, id) || (heard.after && !reached(held.cursor, heard.after))) return 'missed';
  const next = { ...held, state: folded(held, stream, frame), cursor: id };
  return frame.type !== 'reply.ended' || isWhole(next.state as State, frame as Ended) ? next : 'missed';
}

/** Take over what another tab holds; `known` where that is not more. */
export function adopted(held: Held, given: Held): Held | 'known' {
  if (!given.over && given.cursor !== LIVE && given.cursor !== null && reached(held.cursor, given.cursor)) return 'known';
  if (!('messages' in given.state && 'messages' in held.state)) return given;
  return { ...given, state: { ...given.state, messages: withKept(given.state.messages, held.state.messages) } };
}

/** How far somebody has come with a stream, in a word. */
export const mark = ({ cursor, over }: Held): string | null => (over ? 'over' : cursor);

/** Whether what is held is more than what somebody has who has come so far. */
export function isMore(held: Held, theirs: string | null): boolean {
  const ours = mark(held);
  return ours !== null && ours !== theirs && !(!held.over && reached(theirs, ours));
}

/** Whether somebody who has come so far would miss something of what goes on from here. */
export const leavesOut = (held: Held, theirs: Held): boolean =>
  theirs.cursor !== null && (!held.since || (isSame(held.since, theirs.cursor) && theirs.cursor < held.since));

/** Whether a cursor stands at an id or behind it, in the same log. Numbers have leading zeros, so they compare as texts. */
export const reached = (cursor: string | null, id: string): boolean =>
  cursor !== null && isSame(cursor, id) && cursor >= id;

/** The part of an id that names the incarnation of its stream. */
export const epochOf = (id: string): string => id.slice(0, Math.max(0, id.lastIndexOf('-')));

const isSame = (one: string, other: string) => epochOf(one) === epochOf(other);

function greeted(held: Held, stream: StreamName, hello: Extract<Frame, { type: 'hello' }>): Held {
  if (hello.resumed) return held;
  // A conversation is known again from its snapshot on.
  if (stream !== 'broadcast') return { ...held, cursor: null };
  // The channel has none, and goes on from where it says. But who leads may have joined where others had been before.
  return hello.reason === null && held.cursor ? held : { ...held, cursor: hello.cursor, since: hello.cursor };
}

function folded(held: Held, stream: StreamName, frame: { type: string }): Held['state'] {
  if (stream === 'conversations') return reduceList(held.state as ListState, frame as ListFrame);
  if (stream === 'broadcast') return reduceChannel(held.state as ChannelState, frame);
  return reduce(held.state as State, frame as Frame);
}

type Ended = Extract<LogEvent, { type: 'reply.ended' }>;

/** Whether what has been put together is the text that the ending holds. */
function isWhole(state: State, ended: Ended): boolean {
  const reply = state.messages.findLast(({ id }) => id === ended.reply_id);
  return !reply || !isReply(reply) || reply.text === ended.text;
}
