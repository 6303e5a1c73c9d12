import { expect, test } from 'vitest';
import { newestFirst, reduceList, UNKNOWN } from './list';
import type { Conversation } from './protocol';

const one = (id: string, updated_at: string, title = id): Conversation => ({
  id, title, head: null, running: [], created_at: updated_at, updated_at,
});
const LIST = reduceList(UNKNOWN, { type: 'snapshot', conversations: [one('b', '2'), one('a', '1')] });
const ids = (state: typeof LIST) => state.conversations.map(({ id }) => id).join(' ');

test('a snapshot is the list', () => {
  expect(UNKNOWN.known).toBe(false);
  expect([LIST.known, ids(LIST)]).toEqual([true, 'b a']);
});

test('a conversation that changes stands where its activity belongs', () => {
  expect(ids(reduceList(LIST, { type: 'conversation.changed', conversation: one('a', '3') }))).toBe('a b');
  expect(ids(reduceList(LIST, { type: 'conversation.changed', conversation: one('c', '1.5') }))).toBe('b c a');
  expect(ids(reduceList(LIST, { type: 'conversation.changed', conversation: one('c', '0') }))).toBe('b a c');
});

test('times are compared whether or not they have a fraction', () => {
  const times = ['2026-01-01T10:00:05Z', '2026-01-01T10:00:05.25Z', '2026-01-01T10:00:05.5Z', '2026-01-01T10:00:06Z'];

  expect(times.toSorted(newestFirst)).toEqual(times.toReversed());
  expect(newestFirst(times[0] ?? '', times[0] ?? '')).toBe(0);
});

test('of two at the same time, the one that changed last is first', () => {
  expect(ids(reduceList(LIST, { type: 'conversation.changed', conversation: one('c', '2') }))).toBe('c b a');
});

test('a conversation that is deleted is gone, and another frame changes nothing', () => {
  expect(ids(reduceList(LIST, { type: 'conversation.deleted', id: 'b' }))).toBe('a');
  expect(reduceList(LIST, { type: 'bye', reason: 'drain' })).toBe(LIST);
});
