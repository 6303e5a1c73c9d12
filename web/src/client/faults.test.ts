/** What a server, a network or a caller does that it should not: none of it stops the client, or runs the server down. */
import { afterEach, beforeEach, expect, test, vi, type MockInstance } from 'vitest';
import { Origin, type Page } from './testing/origin';
import { id } from './testing/server';
import { View } from './testing/view';

const A = 'conversation/a';
const B = 'conversation/b';
let origin: Origin;
let page: Page;
let debug: MockInstance<typeof console.debug>;
let warn: MockInstance<typeof console.warn>;

const opened = () => origin.server.opened.map((url) => decodeURIComponent(url.replace('/streams?', '')));

async function begun(...names: (typeof A | typeof B | 'broadcast' | 'conversations')[]): Promise<View> {
  const view = new View(page, ...names);
  await origin.settle();
  return view;
}

beforeEach(() => {
  vi.useFakeTimers();
  debug = vi.spyOn(console, 'debug').mockImplementation(() => {});
  warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  origin = new Origin();
  page = origin.page({ shares: false });
  origin.server.write(A, 'once ');
  origin.server.write(B, 'twice ');
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test('an overloaded server is asked ever more seldom, also by those who look', async () => {
  origin.server.answer = { type: 'bye', reason: 'overloaded', retry_after: 1 };
  const view = await begun(A, B);

  await origin.pass(120, () => page.meet('visible'));

  expect(view.links.at(-1)).toEqual(['lost', 'overloaded']);
  expect(opened().length).toBeLessThan(20);
});

test.each([['malformed'], [-1], [1e9]])('a server that says to come back after %s is not believed', async (after) => {
  await begun(A);
  origin.server.cut({ reason: 'drain', retry_after: after });

  await origin.pass(80, () => origin.server.ping());

  expect(opened()).toHaveLength(2);
});

test('what can be no conversation is not asked for, since the server would refuse the others, too', async () => {
  const view = await begun(A, 'conversation/a@b&watch=c' as typeof A, 'conversation/' as typeof A);

  expect(opened()).toEqual([`watch=${A}@`]);
  expect([...view.states.values()].map(({ deleted }) => deleted)).toEqual([false, true, true]);
  expect(() => view.follow('nothing' as never)).toThrow('A stream is called');
});

test('an event that was there already is passed over', async () => {
  const view = await begun(A);
  const again = { type: 'reply.delta', reply_id: A, part: 0, text: 'once ' };
  origin.server.write(A, 'upon ');
  origin.server.raw(A, { type: 'reply.delta', data: JSON.stringify(again), id: id('epoch0', 2) });
  await origin.settle();

  expect(view.text(A)).toBe('once upon ');
});

test('a broken frame is taken up again from the cursor, and the second time from a snapshot', async () => {
  const view = await begun(A);
  const cursor = origin.server.head(A);
  const broken = () => origin.server.raw(A, { type: 'reply.delta', data: '{"type":"reply.de', id: id('epoch0', 3) });
  broken();
  await origin.pass(2);
  expect(opened().at(-1)).toBe(`watch=${A}@${cursor}`);
  expect(debug).toHaveBeenCalledOnce();

  broken();
  await origin.pass(3);

  expect(opened().at(-1)).toBe(`watch=${A}@`);
  expect(view.text(A)).toBe('once ');
});

test.each([
  ['a snapshot without messages', 'snapshot', { type: 'snapshot', stream: A }],
  ['no object', 'reply.delta', 17],
  ['null', 'reply.delta', null],
  ['another type', 'reply.delta', { type: 'reply.started' }],
  ['a stream that nobody said hello to', 'reply.delta', { type: 'reply.delta' }, 'elsewhere-000000000001'],
  ['an ending with another text', 'reply.ended', { type: 'reply.ended', reply_id: A, text: 'never' }],
])('%s comes again and again, and the server is not run down', async (_, type, data, of = id('epoch0', 3)) => {
  const view = await begun(A);

  await origin.pass(120, () => origin.server.raw(A, { type, data: JSON.stringify(data), id: of }));

  expect(opened().length).toBeGreaterThan(3);
  expect(opened().length).toBeLessThan(25);
  await origin.pass(30);
  origin.server.write(A, 'upon ');
  await origin.settle();
  expect(view.text(A)).toBe('once upon ');
});

test('a piece that got lost on the way is found missing at the end of the reply', async () => {
  const view = await begun(A);
  origin.server.log(A).events.push({ type: 'reply.delta', reply_id: A, part: 0, text: 'lost ' }); // is never sent
  origin.server.write(A, 'kept');
  await origin.settle();
  expect(view.text(A)).toBe('once kept');

  origin.server.end(A);
  await origin.pass(5);

  expect(view.text(A)).toBe('once lost kept');
});

const PAINTED = { type: 'reply.painted' } as never; // a browser does not even tell of it

test('events of a type that is not known are passed over, and that is told once', async () => {
  const view = await begun(A, B);
  for (const word of ['upon ', 'a ', 'time']) {
    origin.server.append(A, PAINTED);
    origin.server.append(A, PAINTED);
    origin.server.write(A, word);
  }
  await origin.settle();

  expect(view.text(A)).toBe('once upon a time');
  expect(opened()).toHaveLength(1);
  expect(warn.mock.calls).toEqual([[expect.stringContaining(`An event of ${A} is of a type`)]]);
});

test('one at the end looks like a loss: it is asked for once, and then told', async () => {
  const view = await begun(A);
  origin.server.append(A, PAINTED);

  await origin.pass(200, () => origin.server.ping());
  expect(opened()).toHaveLength(2);
  expect(warn).toHaveBeenCalledOnce();
  origin.server.write(A, 'upon ');
  await origin.pass(200, () => origin.server.ping());

  expect(view.text(A)).toBe('once upon ');
  expect(opened()).toHaveLength(2);
});

test('one that has made a reply longer is led around by a snapshot', async () => {
  const view = await begun(A);
  origin.server.append(A, PAINTED);
  origin.server.end(A, 'once painted');
  origin.server.log(A).events.splice(1, 0, { type: 'reply.delta', reply_id: A, part: 0, text: '' });

  await origin.pass(300, () => origin.server.ping());

  expect(view.link).toBe('open');
  expect(opened().length).toBeLessThan(6);
});

test('what has no number is not taken for what went before it untold', async () => {
  const view = await begun(A, 'broadcast', 'conversations');
  origin.server.raw(A, { type: 'reply.painted', data: '{}', id: id('epoch0', 2) });
  origin.server.join();
  origin.server.write(B, 'over');
  origin.server.say('hello');
  await origin.settle();

  expect(view.said).toEqual(['hello']);
  expect(view.list).toEqual(['b', 'a']);
  expect(opened()).toHaveLength(1);
});

test('more than a request has room for waits, the newest are there, and it is said', async () => {
  const names = Array.from({ length: 700 }, (_, i) => `conversation/${'x'.repeat(26)}${i}` as const);
  for (const name of names) origin.server.log(name).events.push({ type: 'message.painted' } as never);
  const view = new View(page, 'broadcast', ...names);
  let unwatched = 0;
  view.client.onLink((_, why) => (unwatched = why.unwatched));
  await origin.settle();

  const [url] = origin.server.opened;
  expect(url!.length).toBeLessThan(28_000);
  expect(url).toContain('broadcast');
  expect(url).toContain(names.at(-1));
  expect(unwatched).toBeGreaterThan(100);
  expect(warn).toHaveBeenCalledOnce();
});

test('what goes wrong in one who hears keeps nobody else from hearing', async () => {
  const view = await begun(A);
  const uncaught: unknown[] = [];
  vi.stubGlobal('queueMicrotask', (task: () => void) => void Promise.resolve().then(task).catch((error) => uncaught.push(error)));
  view.client.follow(A, (_, frame) => {
    if (frame) throw new Error('a bug');
  });
  let last = '';
  view.client.follow(A, (state) => (last = (state.messages[0] as { text?: string }).text ?? ''));
  origin.server.write(A, 'upon ');
  await origin.settle();
  vi.unstubAllGlobals();

  expect([last, view.text(A), uncaught.length]).toEqual(['once upon ', 'once upon ', 1]);
  expect(opened()).toHaveLength(1);
});

test('a clock that is set back makes nobody wait longer', async () => {
  const view = await begun(A);
  origin.server.up = false;
  origin.server.cut();
  await origin.settle();
  vi.setSystemTime(Date.now() - 3_600_000);
  origin.server.up = true;

  await origin.pass(5);
  expect(view.link).toBe('open');
  vi.setSystemTime(Date.now() - 3_600_000);
  await origin.pass(45); // without a ping

  expect(view.links.map(([link]) => link).filter((link) => link === 'lost')).toHaveLength(2);
});
