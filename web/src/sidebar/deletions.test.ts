import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Deletions, UNDO_WITHIN } from './deletions.svelte';

const one = (id: string) => ({ id, title: `title of ${id}`, head: null, running: [], created_at: '', updated_at: '' });
let sent: [string, boolean][];
let status: number;

beforeEach(() => {
  vi.useFakeTimers();
  [sent, status] = [[], 204];
  vi.stubGlobal('fetch', async (path: string, { keepalive }: RequestInit) => {
    sent.push([path, keepalive ?? false]);
    return status === 204 ? new Response(null, { status }) : Response.json({ detail: 'No.' }, { status });
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test('a conversation is hidden at once, and deleted when the time to undo is over', async () => {
  const deletions = new Deletions();
  deletions.begin(one('a'), false);
  await vi.advanceTimersByTimeAsync(UNDO_WITHIN - 1);

  expect([deletions.hidden.has('a'), sent]).toEqual([true, []]);
  await vi.advanceTimersByTimeAsync(1);

  expect(sent).toEqual([['/conversations/a', false]]);
  expect([deletions.pending, deletions.hidden.has('a')]).toEqual([[], true]);
});

test('what is undone is never sent, and others go their way', async () => {
  const deletions = new Deletions();
  deletions.begin(one('a'), true);
  deletions.begin(one('b'), false);

  expect(deletions.undo('a')).toMatchObject({ id: 'a', shown: true });
  await vi.advanceTimersByTimeAsync(UNDO_WITHIN);

  expect(sent).toEqual([['/conversations/b', false]]);
  expect([...deletions.hidden]).toEqual(['b']);
  expect(deletions.undo('b')).toBeUndefined();
});

test('a page that goes deletes at once, once', async () => {
  const deletions = new Deletions();
  deletions.begin(one('a'), false);
  deletions.flush();
  deletions.flush();
  await vi.advanceTimersByTimeAsync(UNDO_WITHIN);

  expect(sent).toEqual([['/conversations/a', true]]);
});

test('what the server refuses comes back with its words', async () => {
  status = 422;
  const deletions = new Deletions();
  deletions.begin(one('a'), false);
  await vi.advanceTimersByTimeAsync(UNDO_WITHIN);

  expect([...deletions.hidden]).toEqual([]);
  expect(deletions.failures).toEqual([{ id: 'a', text: '“title of a” is not deleted: No.' }]);
  deletions.dismiss('a');
  expect(deletions.failures).toEqual([]);
});

test('what somebody else has deleted is not deleted again, and a 404 is no failure', async () => {
  const deletions = new Deletions();
  deletions.begin(one('a'), false);
  deletions.gone('a');
  status = 404;
  deletions.begin(one('b'), false);
  await vi.advanceTimersByTimeAsync(UNDO_WITHIN);

  expect(sent).toEqual([['/conversations/b', false]]);
  expect([deletions.pending, deletions.failures]).toEqual([[], []]);
});
