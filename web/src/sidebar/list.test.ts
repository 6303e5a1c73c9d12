import { expect, test } from 'vitest';
import type { Conversation } from '../client/protocol';
import { Conversations } from './list.svelte';

const one = (number: number, title = `number ${number}`): Conversation => ({
  id: `c${number}`,
  title,
  head: null,
  running: [],
  created_at: '2026-01-01T00:00:00Z',
  updated_at: new Date(Date.UTC(2026, 0, 1) + number * 1000).toISOString(),
});

/** A server that holds conversations and counts what is read. */
class Shelf {
  all: Conversation[];
  reads = 0;
  /** Called before each answer. */
  between = () => {};

  constructor(count: number) {
    this.all = Array.from({ length: count }, (_, place) => one(count - place));
  }

  read = async (before: string | null) => {
    this.reads += 1;
    await Promise.resolve();
    this.between();
    const start = before === null ? 0 : Number(before);
    const conversations = this.all.slice(start, start + 100);
    return { conversations, next: start + 100 < this.all.length ? `${start + 100}` : null };
  };

  snapshot(list: Conversations): void {
    const conversations = this.all.slice(0, 50);
    list.hear({ conversations, known: true }, { type: 'snapshot', conversations });
  }
}

const ids = (list: Conversations) => list.rows.map(({ id }) => id);

/** A list that has read everything. */
async function loaded(shelf: Shelf): Promise<Conversations> {
  const list = new Conversations(shelf.read);
  shelf.snapshot(list);
  while (list.next !== null) await list.more();
  return list;
}

const settled = async (list: Conversations) => {
  while (list.reading) await Promise.resolve();
};

test('the first page is there at once, the rest page by page', async () => {
  const shelf = new Shelf(250);
  const list = new Conversations(shelf.read);

  expect(list.known).toBe(false);
  shelf.snapshot(list);
  expect([list.rows.length, list.next]).toEqual([50, '']);
  await list.more();
  expect([list.rows.length, list.next]).toEqual([100, '100']);
  await list.more();
  await list.more();
  await list.more();

  expect(ids(list)).toEqual(shelf.all.map(({ id }) => id));
  expect([list.next, shelf.reads]).toEqual([null, 3]);
});

test('a short list is whole, and nothing is read', async () => {
  const shelf = new Shelf(7);
  const list = await loaded(shelf);

  expect([list.rows.length, shelf.reads]).toEqual([7, 0]);
});

test('what changes comes to the top, and what is deleted goes', async () => {
  const list = await loaded(new Shelf(120));

  list.hear({ conversations: [], known: true }, { type: 'conversation.changed', conversation: { ...one(500), id: 'c3' } });
  list.hear({ conversations: [], known: true }, { type: 'conversation.deleted', id: 'c90' });

  expect(ids(list).slice(0, 2)).toEqual(['c3', 'c120']);
  expect(list.rows.length).toBe(119);
  expect(ids(list)).not.toContain('c90');
});

test('another snapshot of an unbroken connection costs no reading', async () => {
  const shelf = new Shelf(250);
  const list = await loaded(shelf);
  shelf.reads = 0;
  shelf.all = [one(251), ...shelf.all.filter(({ id }) => id !== 'c240')];

  shelf.snapshot(list);

  expect([list.reading, shelf.reads]).toEqual([false, 0]);
  expect(ids(list)).toEqual(shelf.all.map(({ id }) => id));
});

test('after a lost connection all is read again, and what was deleted meanwhile goes', async () => {
  const shelf = new Shelf(250);
  const list = await loaded(shelf);
  shelf.all = shelf.all.filter(({ id }) => id !== 'c20');

  list.doubt();
  shelf.snapshot(list);
  expect(list.rows.length).toBe(250);
  await settled(list);

  expect(ids(list)).toEqual(shelf.all.map(({ id }) => id));
});

test('where more has changed than a snapshot holds, all is read again', async () => {
  const shelf = new Shelf(120);
  const list = await loaded(shelf);
  shelf.all = [...Array.from({ length: 80 }, (_, place) => one(200 - place)), ...shelf.all];

  shelf.snapshot(list);
  await settled(list);

  expect(ids(list)).toEqual(shelf.all.map(({ id }) => id));
});

test('what is told while a page is read is newer than the page', async () => {
  const shelf = new Shelf(250);
  const list = new Conversations(shelf.read);
  shelf.snapshot(list);
  shelf.between = () => {
    list.hear({ conversations: [], known: true }, { type: 'conversation.deleted', id: 'c199' });
    list.hear({ conversations: [], known: true }, { type: 'conversation.changed', conversation: one(198, 'renamed') });
  };

  await list.more();

  expect(ids(list)).not.toContain('c199');
  expect(list.rows.find(({ id }) => id === 'c198')?.title).toBe('renamed');
});

test('a page that cannot be read is said, and can be read later', async () => {
  const shelf = new Shelf(120);
  const list = new Conversations(shelf.read);
  shelf.snapshot(list);
  shelf.between = () => {
    throw new Error('The server cannot be reached.');
  };

  await list.more();
  expect([list.trouble, list.rows.length]).toEqual(['The server cannot be reached.', 50]);
  shelf.between = () => {};
  await list.more();

  expect([list.trouble, list.rows.length]).toEqual(['', 100]);
});
