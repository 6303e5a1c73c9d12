import { expect, test } from 'vitest';
import type { Hit } from '../client/calls';
import { Search } from './search.svelte';

const hit = (id: string): Hit => ({
  id, title: id, head: null, running: [], created_at: '', updated_at: '', match: { message_id: null, text: id, ranges: [] },
});

interface Asked {
  text: string;
  before: string | null;
  answer(ids: string[], next?: string | null): Promise<void>;
  fail(words: string): Promise<void>;
}

function begin(): { search: Search; asked: Asked[] } {
  const asked: Asked[] = [];
  const turn = () => new Promise<void>((resolve) => setTimeout(resolve));
  const search = new Search(
    (text, before) =>
      new Promise((resolve, reject) => {
        asked.push({
          text,
          before,
          answer: (ids, next = null) => (resolve({ conversations: ids.map(hit), next }), turn()),
          fail: (words) => (reject(new Error(words)), turn()),
        });
      }),
  );
  return { search, asked };
}

const found = (search: Search) => search.hits.map(({ id }) => id).join(' ');

test('one request at a time, and the newest text wins', async () => {
  const { search, asked } = begin();
  for (const text of ['g', 'gu', 'gul', ' gull ']) search.type(text);

  expect(asked.map(({ text }) => text)).toEqual(['g']);
  await asked[0]!.answer(['old']);
  expect([found(search), asked[1]?.text]).toEqual(['', 'gull']);
  await asked[1]!.answer(['new']);

  expect([found(search), search.found, search.busy]).toEqual(['new', 'gull', false]);
});

test('pages follow each other, and no conversation comes twice', async () => {
  const { search, asked } = begin();
  search.type('x');
  await asked[0]!.answer(['a', 'b'], 'p2');
  search.more();
  await asked[1]!.answer(['b', 'c']);

  expect([found(search), asked[1]?.before, search.next]).toEqual(['a b c', 'p2', null]);
});

test('what fails is said, and asked again', async () => {
  const { search, asked } = begin();
  search.type('x');
  await asked[0]!.fail('The index is being made anew.');
  expect(search.trouble).toBe('The index is being made anew.');

  search.more();
  await asked[1]!.answer(['a']);

  expect([found(search), search.trouble]).toEqual(['a', '']);
});

test('an answer that comes when the field is empty again is dropped', async () => {
  const { search, asked } = begin();
  search.type('x');
  search.type('');
  await asked[0]!.answer(['a']);

  expect([found(search), search.asked]).toEqual(['', '']);
});
