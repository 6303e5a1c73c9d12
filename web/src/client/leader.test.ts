/** Who leads may close, crash, freeze or be slow at any time; the others go on. */
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

test.each([
  ['closed', (view: View) => view.close()],
  ['crashed', (view: View) => view.page.crash()],
])('where the leader is %s in mid-reply another takes over, and nothing is lost or heard twice', async (_, end) => {
  const [leader, ...others] = [await open(A, 'broadcast'), await open(A, B, 'broadcast'), await open(B, 'broadcast')];
  origin.server.write(A, 'upon ');
  origin.server.say('one');
  await origin.settle(undefined, 3); // some of it is on its way
  end(leader);
  origin.server.write(A, 'a ');
  origin.server.say('two');
  await origin.settle();
  origin.server.write(A, 'time');
  origin.server.write(B, 'told');
  origin.server.say('three');
  await origin.settle();

  expect(connections()).toBe(1);
  expect(origin.server.joins).toBe(1);
  expect(others[0].text(A)).toBe('once upon a time');
  for (const view of others) {
    expect([view.text(B), view.said]).toEqual(['twice told', ['one', 'two', 'three']]);
    expect(view.links.map(([link]) => link)).toEqual(['connecting', 'open']);
  }
});

test('a leader that is frozen is deposed by a tab that somebody looks at, and by no other', async () => {
  const [leader, hidden] = [await open(A, 'broadcast'), await open(A, 'broadcast')];
  hidden.page.visible = false;
  leader.page.frozen = true;
  origin.server.write(A, 'upon ');
  await origin.pass(100);
  expect(hidden.text(A)).toBe('once ');

  hidden.page.visible = true;
  await origin.pass(45);
  expect(hidden.text(A)).toBe('once upon ');
  origin.server.write(A, 'a ');
  await origin.settle();
  leader.page.frozen = false;
  await origin.settle();
  origin.server.write(A, 'time');
  await origin.pass(5);

  expect([leader.text(A), hidden.text(A)]).toEqual(['once upon a time', 'once upon a time']);
  expect(connections()).toBe(1);
  expect(origin.server.joins).toBe(1);
  hidden.close();
  origin.server.write(A, '!');
  await origin.settle();
  expect(leader.text(A)).toBe('once upon a time!');
});

test('one that has been deposed without knowing it is not listened to', async () => {
  const [, next, other] = [await open('broadcast'), await open('broadcast'), await open('broadcast')];
  other.page.visible = false;
  const slow = (...names: string[]) => (queues: string[]) =>
    queues.findIndex((queue) => !names.some((name) => queue.startsWith(name)));
  for (let second = 0; second < 45; second += 1) {
    vi.advanceTimersByTime(1000);
    await origin.settle(slow('words 1', 'locks 1')); // what the leader says comes late, and so does what it is told
  }
  expect(connections()).toBe(2);
  origin.server.join();
  await origin.settle(slow('locks 1'));
  await origin.settle();

  expect([next.lines.length, other.lines.length, connections()]).toEqual([2, 2, 1]);
});

test('one that learns of its lead when it has lost it is contradicted', async () => {
  const [gone, late, next, other] = [await open(A), await open(A), await open(A), await open(A)];
  late.page.visible = other.page.visible = false;
  gone.page.crash(); // so the lead is the next one's
  late.page.frozen = true; // who does not know it yet
  await origin.pass(45);
  late.page.frozen = false;
  await origin.settle();
  origin.server.write(A, 'upon ');
  await origin.settle();

  expect([late, next, other].map((view) => view.text(A))).toEqual(['once upon ', 'once upon ', 'once upon ']);
  expect(connections()).toBe(1);
});

test('what a leader has heard last it says before it goes', async () => {
  const [leader, other] = [await open('broadcast'), await open('broadcast')];
  origin.server.join();
  await origin.settle(undefined, 1); // the leader knows
  leader.close();
  await origin.settle();

  expect(other.lines).toHaveLength(2);
});

test('a leader whose timers are held back does what is due when another asks', async () => {
  const [leader, other] = [await open(A), await open(A)];
  origin.server.up = false;
  origin.server.cut();
  await origin.pass(100);
  origin.server.up = true;
  vi.setSystemTime(Date.now() + 60_000); // time has passed, and no timer has run
  vi.advanceTimersByTime(4000);
  await origin.settle();

  expect([leader.link, other.link]).toEqual(['open', 'open']);
});

test('a leader whose server is away is no frozen one', async () => {
  const [one, two] = [await open(A), await open(A)];
  origin.server.up = false;
  origin.server.cut();
  await origin.pass(120);
  expect([one.link, two.link]).toEqual(['lost', 'lost']);
  const leads = origin.server.opened.length;

  origin.server.up = true;
  await origin.pass(20);

  expect(leads).toBeLessThan(20);
  expect([one.link, two.link]).toEqual(['open', 'open']);
});

test('who looks hurries the leader, and does what is due where its timers are held back', async () => {
  const [leader, two] = [await open(A), await open(A)];
  leader.page.visible = false;
  origin.server.up = false;
  origin.server.cut();
  await origin.pass(40);
  origin.server.up = true;
  two.page.meet('visible');
  await origin.settle();

  expect([leader.link, two.link]).toEqual(['open', 'open']);
});

