/** What the list's frames add up to: its first page, and whatever has changed since. Pure. */
import type { Conversation, ListFrame } from './protocol';

export interface ListState {
  /** Newest activity first. */
  conversations: readonly Conversation[];
  /** Whether a snapshot has come: before that, an empty list says nothing. */
  known: boolean;
}

export const UNKNOWN: ListState = { conversations: [], known: false };

/** Bring a list forward by one frame; one of a type that is not known changes nothing. */
export function reduceList(state: ListState, frame: ListFrame): ListState {
  switch (frame.type) {
    case 'snapshot':
      return { conversations: frame.conversations, known: true };
    case 'conversation.changed':
      return { ...state, conversations: placed(without(state.conversations, frame.conversation.id), frame.conversation) };
    case 'conversation.deleted':
      return { ...state, conversations: without(state.conversations, frame.id) };
    default:
      return state;
  }
}

/** Compare two times of the server as `sort` wants it, the newer first. */
export function newestFirst(one: string, other: string): number {
  // A fraction is written only where there is one, so "…05Z" would come after "…05.5Z" as text.
  const [a, b] = [one.replace('Z', ''), other.replace('Z', '')];
  return a === b ? 0 : a < b ? 1 : -1;
}

const without = (list: readonly Conversation[], id: string) => list.filter((one) => one.id !== id);

/** Put a conversation where its last activity belongs. */
function placed(list: readonly Conversation[], one: Conversation): Conversation[] {
  const before = list.findIndex(({ updated_at }) => newestFirst(updated_at, one.updated_at) >= 0);
  return list.toSpliced(before < 0 ? list.length : before, 0, one);
}
