/** One page on its own: what becomes of its connection, whatever server and network do. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Origin, type Page } from './testing/origin';
import { id } from './testing/server';
import { View } from './testing/view';

const A = 'conversation/a';
const B = 'conversation/b';
let origin: Origin;
let page: Page;

const opened = () => origin.server.opened.map((url) => decodeURIComponent(url.replace('/streams?', '')));

async function begun(...names: (typeof A | typeof B | 'broadcast' | 'conversations')[]): Promise<View> {
  const view = new View(page, ...names);
  await origin.settle();
  return view;
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(console, 'debug').mockImplementation(() => {});
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

test('all that is followed at a time is one connection', async () => {
  const view = await begun('conversations', 'broadcast', A);

  expect(opened()).toEqual(['watch=broadcast@&watch=conversations@&watch=conversation/a@']);
  expect([view.text(A), view.list.toSorted(), view.lines.map(({ text }) => text)]).toEqual([
    'once ', ['a', 'b'], ['A new user joined!'],
  ]);
  expect(view.links.map(([link]) => link)).toEqual(['connecting', 'open']);
});

test('another conversation is another connection, with the cursors as they are now', async () => {
  const view = await begun('broadcast', A);
  origin.server.write(A, 'upon ');
  origin.server.say('hello');
  await origin.settle();

  view.unfollow(A);
  view.follow(B);
  await origin.settle();

  expect(opened().at(-1)).toBe(`watch=broadcast@${origin.server.head('broadcast')}&watch=conversation/b@`);
  expect(origin.server.peers.size).toBe(1);
  expect(origin.server.joins).toBe(1);
  expect(view.links.map(([link]) => link)).not.toContain('lost');
  origin.server.write(B, 'more');
  await origin.settle();
  expect(view.text(B)).toBe('twice more');
});

test('who comes back to a conversation sees at once what was there, and is sent the rest', async () => {
  const view = await begun(A, B);
  view.unfollow(A);
  await origin.settle();
  const cursor = origin.server.head(A);
  origin.server.write(A, 'upon ');

  view.follow(A);
  const atOnce = view.text(A);
  await origin.settle();

  expect([atOnce, view.text(A)]).toEqual(['once ', 'once upon ']);
  expect(opened().at(-1)).toContain(`watch=${A}@${cursor}`);
});

test('what changes while a connection is being opened waits, so that nobody joins twice', async () => {
  const view = new View(page, 'broadcast');
  await origin.settle(undefined, 1); // the server has heard of it, and the page of nothing
  view.follow(A);
  await origin.settle(undefined, 1); // hello, and not yet the notice
  view.follow(B);
  await origin.settle();

  expect(opened()).toHaveLength(2);
  expect(origin.server.joins).toBe(1);
  expect(view.lines).toHaveLength(1);
});

test('after a cut it comes back where it was, and neither loses nor repeats anything', async () => {
  const view = await begun('broadcast', 'conversations', A);
  origin.server.cut();
  origin.server.write(A, 'upon ');
  origin.server.say('meanwhile');

  await origin.pass(2);

  expect([view.text(A), view.said, origin.server.joins]).toEqual(['once upon ', ['meanwhile'], 1]);
  expect(view.links).toEqual([['connecting', null], ['open', null], ['lost', 'cut'], ['open', null]]);
});

test('the waits between tries grow, and end when somebody looks', async () => {
  const view = await begun(A);
  origin.server.up = false;
  origin.server.cut();

  await origin.pass(120);
  const tries = origin.server.opened.length;
  origin.server.up = true;
  page.meet('visible');
  await origin.settle();

  expect(tries).toBeGreaterThan(8);
  expect(tries).toBeLessThan(20);
  expect(view.link).toBe('open');
});

test('a wait is not the same for all', async () => {
  await begun(A);
  const waits = [];
  for (const luck of [0, 0.999]) {
    vi.mocked(Math.random).mockReturnValue(luck);
    origin.server.cut();
    await origin.settle();
    const [before, count] = [Date.now(), opened().length];
    while (opened().length === count) {
      vi.advanceTimersByTime(10);
      await origin.settle();
    }
    waits.push(Date.now() - before);
  }

  expect(waits[0]).toBeGreaterThan(200);
  expect(waits[1]).toBeGreaterThan(2 * waits[0]!);
});

test('a stream on which nothing comes for 40 s is opened anew, and pings are something', async () => {
  await begun(A);
  await origin.pass(60, () => origin.server.ping());
  expect(opened()).toHaveLength(1);

  await origin.pass(41);

  expect(opened()).toHaveLength(2);
});

test('who is behind two pings running comes back, and who has caught up in between does not', async () => {
  vi.spyOn(console, 'warn').mockImplementation(() => {});
  await begun(A);
  const head = origin.server.head(A);
  const ping = (cursor: string) =>
    origin.server.raw(A, { type: 'ping', data: JSON.stringify({ type: 'ping', cursor, stream: A }), id: null });
  const ahead = id('epoch0', 9);

  ping(ahead);
  await origin.settle();
  expect(opened()).toHaveLength(1);
  ping(head);
  await origin.settle();

  expect(opened()).toHaveLength(2);
  expect(opened().at(-1)).toBe(`watch=${A}@${head}`);
  ping(ahead); // nothing came in between: what is there is nothing that this client knows
  ping(ahead);
  await origin.settle();
  expect(opened()).toHaveLength(2);
});

test('at the end of a server it waits as long as it is told', async () => {
  const view = await begun(A);
  origin.server.cut({ reason: 'drain', retry_after: 2.5 });
  await origin.pass(2);
  expect(opened()).toHaveLength(1);

  await origin.pass(1);

  expect(opened()).toHaveLength(2);
  expect(view.links.slice(2)).toEqual([['lost', 'drain'], ['open', null]]);
});

test('a conversation that is deleted is over, and the others go on', async () => {
  const view = await begun(A, B);
  origin.server.delete(A);
  origin.server.write(B, 'more');
  await origin.pass(3);

  expect([view.states.get(A)?.deleted, view.text(B)]).toEqual([true, 'twice more']);
  expect(opened()).toHaveLength(1);
  view.follow('broadcast');
  await origin.settle();
  expect(opened().at(-1)).not.toContain(A);
});

test('when the last one is deleted nothing is left to come back to', async () => {
  const view = await begun(A);
  origin.server.delete(A);
  origin.server.cut();

  await origin.pass(60);

  expect(opened()).toHaveLength(1);
  expect(view.link).toBe('open');
});

test('a conversation that is not there says so', async () => {
  const view = await begun(A, 'conversation/nowhere' as typeof A);

  expect(view.states.get('conversation/nowhere')?.deleted).toBe(true);
  expect(view.text(A)).toBe('once ');
});

test('another epoch is another log: what was held is replaced', async () => {
  const view = await begun(A, B);
  origin.server.log(A).epoch = 'restored';
  origin.server.log(A).events.length = 0;
  origin.server.write(A, 'other');
  origin.server.cut();

  await origin.pass(2);

  expect(view.text(A)).toBe('other');
});

test('a log that has become shorter is believed', async () => {
  const view = await begun(A);
  origin.server.write(A, 'upon');
  await origin.settle();
  origin.server.log(A).events.pop();
  origin.server.cut();

  await origin.pass(2);
  origin.server.write(A, 'again');
  await origin.settle();

  expect(view.text(A)).toBe('once again');
});

test('a snapshot in mid-stream is the state, and a second hello of the channel its position', async () => {
  const view = await begun(A, 'broadcast');
  const log = origin.server.log(A);
  log.events.push({ type: 'reply.delta', reply_id: A, part: 0, text: 'unseen ' });
  origin.server.said.push('unseen', 'too');
  origin.server.snapshot(A);
  const cursor = origin.server.head('broadcast');
  const hello = { type: 'hello', stream: 'broadcast', epoch: cursor.split('-')[0], cursor, resumed: false, reason: 'behind' };
  origin.server.raw('broadcast', { type: 'hello', data: JSON.stringify(hello), id: null });
  origin.server.write(A, 'seen');
  origin.server.say('seen');
  await origin.settle();

  expect([view.text(A), view.said]).toEqual(['once unseen seen', ['seen']]);
  expect(opened()).toHaveLength(1);
});

test('offline is shown as that, and back online nobody waits', async () => {
  const view = await begun(A);
  origin.server.up = false;
  page.online = false;
  page.meet('offline');
  await origin.pass(30);
  expect(view.link).toBe('offline');

  origin.server.up = true;
  page.online = true;
  page.meet('online');
  await origin.settle();

  expect(view.link).toBe('open');
});

test('a page that is put aside lets go of everything, and comes back where it was', async () => {
  const view = await begun(A, 'broadcast', 'conversations');
  page.meet('leave');
  expect(origin.server.peers.size).toBe(0);
  origin.server.write(A, 'upon ');
  origin.server.say('meanwhile');

  page.meet('back');
  await origin.settle();

  expect([view.text(A), view.said, origin.server.joins]).toEqual(['once upon ', ['meanwhile'], 1]);
});

test('after close nothing is opened or heard', async () => {
  const view = await begun(A);
  view.client.close();
  page.meet('back');
  page.meet('online');
  view.follow(B);

  await origin.pass(60);

  expect(opened()).toHaveLength(1);
});
