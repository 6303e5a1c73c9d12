/** What a conversation's frames add up to: the page's only reader of history. Pure; a state is never changed. */
import { isLive, isReply, isWhole, type Conversation, type Frame, type Message, type Outline, type Part } from './protocol';
import type { LogEvent, Reply } from './protocol';

export interface State {
  conversation: Conversation | null;
  /** In order of creation, all branches; far back they are outlines. */
  messages: readonly (Message | Outline)[];
  deleted: boolean;
}

/** Whole messages that were read beside the stream, to fill outlines. */
export interface Filled {
  type: 'filled';
  messages: readonly Message[];
}

export const EMPTY: State = { conversation: null, messages: [], deleted: false };

/** Bring a state forward by one frame; one of a type that is not known changes nothing. */
export function reduce(state: State, frame: Frame | Filled): State {
  switch (frame.type) {
    case 'snapshot':
      return { conversation: frame.conversation, messages: withKept(frame.messages, state.messages), deleted: false };
    case 'message.created':
      return added(state, frame.message, frame.message.created_at);
    case 'reply.created': {
      const { reply } = frame;
      const next = added(state, reply, reply.created_at);
      return about(next, { running: [...(next.conversation?.running ?? []), reply.id] });
    }
    case 'reply.started':
    case 'reply.delta':
    case 'reply.tool_call':
    case 'reply.tool_result':
      return withReply(state, frame.reply_id, (reply) => grown(reply, frame));
    case 'reply.ended': {
      const running = state.conversation?.running.filter((id) => id !== frame.reply_id) ?? [];
      const next = withReply(state, frame.reply_id, (reply) => ended(reply, frame));
      return about(next, { running, updated_at: frame.at });
    }
    case 'conversation.updated':
      return about(state, { title: frame.conversation.title, updated_at: frame.conversation.updated_at });
    case 'conversation.deleted':
      return { ...state, deleted: true };
    case 'bye':
      return frame.reason === 'deleted' ? { ...state, deleted: true } : state;
    case 'filled':
      return { ...state, messages: withKept(state.messages, frame.messages) };
    default:
      return state;
  }
}

/** Messages with their outlines filled by others that are whole. Only by what has ended, since that never changes. */
export function withKept(messages: State['messages'], others: State['messages']): State['messages'] {
  if (others.length === 0 || messages.every(isWhole)) return messages;
  const kept = new Map(others.filter((message) => isWhole(message) && !isLive(message)).map((one) => [one.id, one]));
  return messages.map((message) => (isWhole(message) ? message : (kept.get(message.id) ?? message)));
}

/** The messages from the root to the newest leaf. */
export function branch({ conversation, messages }: State): (Message | Outline)[] {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const found: (Message | Outline)[] = [];
  let message = byId.get(conversation?.head ?? '');
  while (message) {
    found.push(message);
    byId.delete(message.id); // so that a circle, which no honest server sends, ends
    message = byId.get(message.parent ?? '');
  }
  return found.reverse();
}

function added(state: State, message: Message, at: string): State {
  return about({ ...state, messages: [...state.messages, message] }, { head: message.id, updated_at: at });
}

function about(state: State, change: Partial<Conversation>): State {
  return { ...state, conversation: state.conversation && { ...state.conversation, ...change } };
}

function withReply(state: State, id: string, change: (reply: Reply) => Reply): State {
  const at = state.messages.findLastIndex((message) => message.id === id);
  const reply = state.messages[at];
  if (!reply || !isReply(reply)) return state;
  return { ...state, messages: state.messages.with(at, change(reply)) };
}

type Growth = Extract<LogEvent, { type: 'reply.started' | 'reply.delta' | 'reply.tool_call' | 'reply.tool_result' }>;

function grown(reply: Reply, event: Growth): Reply {
  if (event.type === 'reply.started') return { ...reply, status: 'running', started_at: event.at };
  const first = event.at === undefined ? {} : { first_token_at: event.at };
  const text = event.type === 'reply.delta' && !event.kind ? reply.text + event.text : reply.text;
  return { ...reply, ...first, text, parts: withPiece(reply.parts, event) };
}

function withPiece(parts: Part[], event: Exclude<Growth, { type: 'reply.started' }>): Part[] {
  switch (event.type) {
    case 'reply.delta': {
      const part = parts[event.part];
      if (!part) return [...parts, { type: event.kind ?? 'text', text: event.text }];
      if (part.type !== 'text' && part.type !== 'reasoning') return parts;
      return parts.with(event.part, { ...part, text: part.text + event.text });
    }
    case 'reply.tool_call':
      return [...parts, { type: 'tool_call', call_id: event.call_id, name: event.name, arguments: event.arguments }];
    case 'reply.tool_result':
      return [...parts, { type: 'tool_result', call_id: event.call_id, result: event.result }];
  }
}

function ended(reply: Reply, event: Extract<LogEvent, { type: 'reply.ended' }>): Reply {
  const { status, at, finish_reason, usage, error } = event;
  return { ...reply, status, ended_at: at, finish_reason, usage, error: error ?? null };
}
