/** Many tabs of one origin: one connection, and each is sent what it follows. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Origin } from './testing/origin';
import { View } from './testing/view';

const A = 'conversation/a';
const B = 'conversation/b';
let origin: Origin;

const connections = () => origin.server.peers.size;

async function open(...names: (typeof A | typeof B | 'broadcast' | 'conversations')[]): Promise<View> {
  const view = View.on(origin, ...names);
  await origin.settle();
  return view;
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  origin = new Origin();
  origin.server.write(A, 'once ');
  origin.server.write(B, 'twice ');
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test('tabs share one connection, and each is sent what it follows', async () => {
  const [one, two, three] = [await open(A, 'broadcast'), await open(B, 'broadcast'), await open(A)];
  for (const word of ['upon ', 'a ', 'time']) {
    origin.server.write(A, word);
    origin.server.write(B, word);
    origin.server.say(word);
  }
  await origin.settle();

  expect(connections()).toBe(1);
  expect([one.text(A), two.text(B), three.text(A)]).toEqual(['once upon a time', 'twice upon a time', 'once upon a time']);
  expect([two.text(A), two.said]).toEqual(['', ['upon ', 'a ', 'time']]);
  expect([one, two, three].map(({ link }) => link)).toEqual(['open', 'open', 'open']);
});

test('a second tab is no newcomer, and is handed what the first has, the channel and the list with it', async () => {
  const one = await open('broadcast', 'conversations', A);
  origin.server.say('before');
  await origin.settle();
  const opened = origin.server.opened.length;

  const two = await open('broadcast', 'conversations', A);

  expect(origin.server.joins).toBe(1);
  expect(origin.server.opened).toHaveLength(opened);
  expect([two.lines, two.list, two.text(A)]).toEqual([one.lines, one.list, 'once ']);
  expect(two.lines.map(({ text }) => text)).toEqual(['A new user joined!', 'before']);
});

test('what is handed over and what follows on it fit, wherever the hand-over falls', async () => {
  for (let cut = 0; cut < 40; cut += 1) {
    origin = new Origin();
    origin.server.write(A, '0 ');
    const one = await open(A, 'broadcast', 'conversations');
    const late = View.on(origin, A, 'broadcast', 'conversations');
    for (let word = 1; word < 8; word += 1) {
      origin.server.write(A, `${word} `);
      origin.server.say(`${word}`);
      origin.server.join();
      await origin.settle(({ length }) => (cut * 7 + word) % Math.max(1, length), cut);
    }
    await origin.settle();

    expect([late.text(A), late.lines, late.list]).toEqual([one.text(A), one.lines, one.list]);
    expect(late.text(A)).toBe('0 1 2 3 4 5 6 7 ');
  }
});

test('a tab that is gone is forgotten, however it went', async () => {
  const [one, two, three] = [await open(A), await open(B), await open(B)];
  two.close();
  await origin.settle();
  expect(origin.server.opened.at(-1)).toContain(B);
  three.page.crash();
  await origin.settle();

  expect(origin.server.opened.at(-1)).not.toContain(B);
  expect(one.text(A)).toBe('once ');
  const opened = origin.server.opened.length;
  expect((await open(A)).text(A)).toBe('once ');
  expect(origin.server.opened).toHaveLength(opened);
});

test('what is handed over is not told once more', async () => {
  const [one] = [await open('broadcast'), await open('broadcast')];
  const late = View.on(origin, 'broadcast');
  const first = (...names: string[]) => (queues: string[]) =>
    Math.max(...names.map((name) => queues.findIndex((queue) => queue.startsWith(name))));
  await origin.settle(first('locks 3'));
  origin.server.join();
  await origin.settle(first('net 1')); // the leader knows, and has told nobody yet
  await origin.settle(first('words 3'));
  await origin.settle();

  expect(late.lines).toEqual(one.lines);
});

test('a page that is put aside before it has its locks is as one that never came', async () => {
  const page = origin.page();
  const view = new View(page, A);
  page.meet('leave');
  await origin.settle();
  await origin.pass(60);
  expect([origin.server.opened.length, view.text(A)]).toEqual([0, '']);

  for (let cut = 1; cut < 8; cut += 1) {
    page.meet('back');
    await origin.settle(undefined, cut % 4);
    page.meet('leave');
    await origin.pass(5);
    expect(connections()).toBe(0);
  }
  page.meet('back');
  await origin.settle();
  expect(view.text(A)).toBe('once ');
});

test('a tab that is put aside and comes back has missed nothing, and the others neither', async () => {
  const [one, two] = [await open(A, 'broadcast', 'conversations'), await open(A, 'broadcast', 'conversations')];
  one.page.meet('leave');
  origin.server.write(A, 'upon ');
  origin.server.say('meanwhile');
  origin.server.write('conversation/c', 'new');
  await origin.settle();
  one.page.meet('back');
  await origin.settle();
  origin.server.write(A, 'a time');
  await origin.settle();

  for (const view of [one, two]) {
    expect([view.text(A), view.said]).toEqual(['once upon a time', ['meanwhile']]);
    expect(view.list.toSorted()).toEqual(['a', 'b', 'c']);
  }
  expect([connections(), origin.server.joins]).toEqual([1, 1]);
});

test('what only another tab has is opened anew by the next leader, and the channel goes on from there', async () => {
  const [leader, plain, rich] = [await open(A), await open(A), await open(B, 'broadcast')];
  origin.server.say('one');
  await origin.settle();
  leader.close();
  origin.server.say('two');
  origin.server.write(B, 'told');
  await origin.settle();

  expect([rich.said, rich.text(B), plain.text(A)]).toEqual([['one', 'two'], 'twice told', 'once ']);
  expect(origin.server.joins).toBe(1);
});

test('without locks each tab has a connection of its own', async () => {
  const views = [1, 2, 3].map(() => new View(origin.page({ shares: false }), A));
  await origin.settle();
  origin.server.write(A, 'upon');
  await origin.settle();

  expect(connections()).toBe(3);
  expect(views.map((view) => view.text(A))).toEqual(['once upon', 'once upon', 'once upon']);
});

test.each(['request', 'channel'] as const)('where a page may not use what there is it is on its own (%s)', async (what) => {
  const page = origin.page();
  if (what === 'channel') page.channel = () => null as never;
  else page.locks = () => ({ request: async () => Promise.reject(new DOMException('', 'SecurityError')) }) as never;
  const view = new View(page, A);
  await origin.settle();

  expect(view.text(A)).toBe('once ');
});

test('what was filled in one tab stays, though a snapshot only outlines it', async () => {
  const [leader, two] = [await open(A), await open(A)];
  const outline = { id: 'old', parent: null, role: 'user', status: 'completed' } as const;
  const whole = { ...outline, parts: [], text: 'long ago', created_at: '' };
  const state = origin.server.state(A);
  const data = { type: 'snapshot', ...state, messages: [outline, ...state.messages], stream: A, cursor: '' };
  const snapshot = (cursor: string) => origin.server.raw(A, { type: 'snapshot', data: JSON.stringify({ ...data, cursor }), id: cursor });
  snapshot('epoch0-000000000005');
  await origin.settle();
  two.client.fill(A, [whole]);
  snapshot('epoch0-000000000006');
  await origin.settle();

  expect(two.states.get(A)?.messages[0]).toEqual(whole);
  leader.close();
  await origin.settle();
  expect(two.states.get(A)?.messages).toHaveLength(1); // the server's own snapshot again: it knows of no other message
});

test('what nobody follows any more is not asked for', async () => {
  const [leader, two] = [await open('broadcast'), await open(A)];
  for (let talk = 0; talk < 20; talk += 1) {
    const name = `conversation/talk${talk}` as const;
    origin.server.write(name, 'x');
    two.follow(name);
    await origin.settle();
    two.unfollow(name);
    await origin.settle();
  }

  expect(leader.link).toBe('open');
  expect(origin.server.opened.at(-1)!.length).toBeLessThan(200);
});
