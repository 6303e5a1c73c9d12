import { expect, test } from 'vitest';
import { Drafts, type Kept, type Shelf } from './drafts';

const NOBODY = new Set<string>();
const DAY = 24 * 3600 * 1000;
const kept = (text: string, at = 0): Kept => ({ text, at, system: '', pending: null });

/** A storage with a control: it can be full. */
class FakeShelf implements Shelf {
  readonly entries = new Map<string, string>();
  full = false;

  get length() {
    return this.entries.size;
  }
  key = (place: number) => [...this.entries.keys()][place] ?? null;
  getItem = (name: string) => this.entries.get(name) ?? null;
  removeItem = (name: string) => void this.entries.delete(name);
  setItem(name: string, text: string) {
    if (this.full) throw new Error('QuotaExceededError');
    this.entries.set(name, text);
  }
}

test('a draft is there again after a reload, with the request that was under way', () => {
  const shelf = new FakeShelf();
  const pending = { text: 'hello', hows: [{ responder: 'echo' }], key: 'k', at: 5 };
  new Drafts(shelf, 'tab').keep('c1', { text: 'hello', at: 5, system: 'be brief', pending });

  expect(new Drafts(shelf, 'tab').read('c1')).toEqual({ text: 'hello', at: 5, system: 'be brief', pending });
  expect(new Drafts(shelf, 'tab').read('c2')).toBeNull();
});

test('two tabs on one conversation do not write over each other', () => {
  const shelf = new FakeShelf();
  const [one, two] = [new Drafts(shelf, 'one'), new Drafts(shelf, 'two')];

  one.keep('', kept('from one'));
  two.keep('', kept('from two'));
  two.keep('', null);

  expect(one.read('')?.text).toBe('from one');
  expect(two.read('')).toBeNull();
});

test('what a tab has left goes to the next, the newest first, and what another shows stays there', () => {
  const shelf = new FakeShelf();
  const [one, two, three] = [new Drafts(shelf, 'one'), new Drafts(shelf, 'two'), new Drafts(shelf, 'three')];
  one.keep('c', kept('older', 1));
  two.keep('c', kept('newer', 2));
  new Drafts(shelf, 'four').keep('other', kept('of another conversation', 3));

  expect(three.adopt('c', new Set([two.nameOf('c')]))?.text).toBe('older');
  expect(one.read('c')).toBeNull();
  expect(three.read('c')?.text).toBe('older');
  expect(new Drafts(shelf, 'five').adopt('c', new Set([three.nameOf('c')]))?.text).toBe('newer');
  expect(new Drafts(shelf, 'six').adopt('', NOBODY)).toBeNull();
});

test('what nobody has touched for a month is forgotten, and so is what is no draft', () => {
  const shelf = new FakeShelf();
  const drafts = new Drafts(shelf, 'tab');
  drafts.keep('old', kept('old', DAY));
  drafts.keep('young', kept('young', 2 * DAY));
  shelf.setItem('tickertape.draft.broken.tab', '{');
  shelf.setItem('tickertape.theme', 'dark');

  drafts.prune(31.5 * DAY);

  expect([...shelf.entries.keys()]).toEqual([drafts.nameOf('young'), 'tickertape.theme']);
});

test('a full storage, a missing one, and one that is no longer readable are no errors', () => {
  const shelf = new FakeShelf();
  shelf.full = true;

  expect(new Drafts(shelf, 'tab').keep('c', kept('text'))).toBe(false);
  expect(new Drafts(null, 'tab').keep('c', kept('text'))).toBe(false);
  expect(new Drafts(null, 'tab').read('c')).toBeNull();
  expect(new Drafts(null, 'tab').adopt('c', NOBODY)).toBeNull();
  new Drafts(null, 'tab').prune(0);
});

test.each(['null', '1', '"x"', '[]', '{}', '{"text":1,"at":1}', '{"text":"x"}'])('what is no draft is none: %s', (text) => {
  const shelf = new FakeShelf();
  const drafts = new Drafts(shelf, 'tab');
  shelf.setItem(drafts.nameOf('c'), text);

  expect(drafts.read('c')).toBeNull();
});

test('a request that is not whole is not sent again', () => {
  const shelf = new FakeShelf();
  const drafts = new Drafts(shelf, 'tab');
  shelf.setItem(drafts.nameOf('c'), '{"text":"x","at":1,"pending":{"text":"x","hows":1,"key":"k"}}');

  expect(drafts.read('c')).toEqual(kept('x', 1));
});
