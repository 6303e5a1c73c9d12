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
  /** What of the list is in sight, by numbers. */
  sight: [number, number] | null = null;
  /** Called before each answer. */
  between = () => {};

  constructor(count: number) {
    this.all = Array.from({ length: count }, (_, place) => one(count - place));
  }

  read = async (before: string | null) => {
    this.reads += 1;
    await Promise.resolve();
    this.between();
    const older = this.all.filter(({ updated_at }) => before === null || updated_at < before);
    return { conversations: older.slice(0, 100), next: older.length > 100 ? older[99]!.updated_at : null };
  };

  snapshot(list: Conversations): void {
    const conversations = this.all.slice(0, 50);
    list.hear({ conversations, known: true }, { type: 'snapshot', conversations });
  }
}

const ids = (list: Conversations) => list.rows.map(({ id }) => id);

/** A list that has read everything. */
async function loaded(shelf: Shelf): Promise<Conversations> {
  const list = new Conversations(shelf.read, () => shelf.sight && [one(shelf.sight[0]).updated_at, one(shelf.sight[1]).updated_at]);
  shelf.snapshot(list);
  while (list.next !== null) await list.more();
  shelf.reads = 0;
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
  expect([list.rows.length, list.next]).toEqual([100, one(151).updated_at]);
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
  shelf.sight = [250, 190];
  shelf.all = [one(251), ...shelf.all.filter(({ id }) => id !== 'c240')];

  shelf.snapshot(list);

  expect([list.reading, shelf.reads]).toEqual([false, 0]);
  expect(ids(list)).toEqual(shelf.all.map(({ id }) => id));
});

test('what may have been deleted unheard is read again where somebody looks, once', async () => {
  const shelf = new Shelf(5000);
  const list = await loaded(shelf);
  shelf.all = shelf.all.filter(({ id }) => !['c2050', 'c60'].includes(id));
  shelf.snapshot(list);
  expect(shelf.reads).toBe(0);

  shelf.sight = [2060, 2020];
  for (let times = 0; times < 3; times += 1) {
    list.look();
    await settled(list);
  }
  expect(ids(list)).not.toContain('c2050');
  expect(ids(list)).toContain('c60');
  expect(shelf.reads).toBe(1);

  shelf.sight = [70, 1];
  list.look();
  await settled(list);
  expect(ids(list)).toEqual(shelf.all.map(({ id }) => id));
  expect([shelf.reads, list.next]).toEqual([2, null]);
});

test('after a lost connection what is in sight is read again at once', async () => {
  const shelf = new Shelf(5000);
  const list = await loaded(shelf);
  shelf.sight = [130, 80];
  shelf.all = shelf.all.filter(({ id }) => id !== 'c100' && id !== 'c4980');

  list.doubt();
  shelf.snapshot(list);
  expect(list.rows.length).toBe(4999); // the newest page is known from the snapshot
  await settled(list);

  expect(ids(list)).toEqual(shelf.all.map(({ id }) => id));
  expect(shelf.reads).toBeLessThanOrEqual(2);
});

test('what is as it was before stays the same object when it is read again', async () => {
  const shelf = new Shelf(250);
  const list = await loaded(shelf);
  const before = new Set(list.rows);
  shelf.sight = [250, 1];
  shelf.all = shelf.all.map((row) => (row.id === 'c20' ? { ...row, title: 'renamed' } : { ...row }));

  list.doubt();
  shelf.snapshot(list);
  await settled(list);

  expect(list.rows.filter((row) => !before.has(row)).map(({ title }) => title)).toEqual(['renamed']);
});

test('where more has changed than a snapshot holds, it is read as far as that goes', async () => {
  const shelf = new Shelf(5000);
  const list = await loaded(shelf);
  shelf.all = [...Array.from({ length: 180 }, (_, place) => one(5180 - place)), ...shelf.all];

  shelf.snapshot(list);
  await settled(list);

  expect(ids(list)).toEqual(shelf.all.map(({ id }) => id));
  expect(shelf.reads).toBe(2);
});

test('a snapshot in the middle of that does not end it', async () => {
  const shelf = new Shelf(500);
  const list = await loaded(shelf);
  shelf.all = [...Array.from({ length: 180 }, (_, place) => one(680 - place)), ...shelf.all];

  shelf.snapshot(list);
  shelf.snapshot({ hear: (state, frame) => list.hear({ ...state, conversations: [...state.conversations] }, frame) } as Conversations);
  await settled(list);

  expect(ids(list)).toEqual(shelf.all.map(({ id }) => id));
});

test('where nothing of before is left, it is read no further than was read before', async () => {
  const shelf = new Shelf(5000);
  const list = new Conversations(shelf.read);
  shelf.snapshot(list);
  shelf.all = shelf.all.toSpliced(0, 50);
  shelf.all = [...Array.from({ length: 60 }, (_, place) => one(5060 - place)), ...shelf.all];

  shelf.snapshot(list);
  await settled(list);
  expect(shelf.reads).toBeLessThanOrEqual(2);
  while (list.next !== null) await list.more();

  expect(ids(list)).toEqual(shelf.all.map(({ id }) => id));
});

test('what another tab holds may lack some of the first page, and there is more', async () => {
  const shelf = new Shelf(120);
  const list = new Conversations(shelf.read);

  list.hear({ conversations: shelf.all.slice(1, 50), known: true }, null);
  expect([list.rows.length, list.next]).toEqual([49, '']);
  shelf.all = shelf.all.slice(1);
  while (list.next !== null) await list.more();
  expect(ids(list)).toEqual(shelf.all.map(({ id }) => id));

  shelf.all = [one(500), ...shelf.all.filter(({ id }) => id !== 'c90')];
  list.hear({ conversations: shelf.all.slice(0, 49), known: true }, null);
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
