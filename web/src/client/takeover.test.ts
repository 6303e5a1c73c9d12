/** Tabs that open, close, crash and freeze in any order, on a network that cuts, with every task at any time: seeded. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { StreamName } from './held';
import { Origin } from './testing/origin';
import { View } from './testing/view';

const TALKS: StreamName[] = ['conversation/a', 'conversation/b', 'conversation/c'];
const SEEDS = Array.from({ length: 60 }, (_, seed) => seed + 1);

/** Numbers below `count`, the same for the same seed. */
function dice(seed: number): (count: number) => number {
  let state = seed * 2654435761;
  return (count) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return ((state ^ (state >>> 13)) >>> 0) % Math.max(1, count);
  };
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(console, 'debug').mockImplementation(() => {});
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** What is shown is what the server has said from some point on: nothing in between is missing, or there twice. */
function check(origin: Origin, view: View): void {
  for (const [name, state] of view.states) {
    if (!state.deleted) expect(origin.server.text(name).startsWith(view.text(name)), name).toBe(true);
  }
  const [first] = view.said;
  const from = origin.server.said.indexOf(first ?? '');
  expect(view.said).toEqual(first === undefined ? [] : origin.server.said.slice(from, from + view.said.length));
}

test.each(SEEDS)('every tab sees a run of what was said, and in the end all of it (seed %i)', async (seed) => {
  const roll = dice(seed);
  const any = (queues: string[]) => roll(queues.length);
  vi.spyOn(Math, 'random').mockImplementation(() => roll(1000) / 1000);
  const origin = new Origin();
  const { server } = origin;
  TALKS.forEach((name) => server.write(name, '0 '));
  const views: View[] = [];
  let words = 0;
  const pick = () => views[roll(views.length)];
  const acts: (() => unknown)[] = [
    () => views.length < 6 && views.push(View.on(origin, TALKS[roll(3)]!, 'broadcast', 'conversations')),
    () => views.splice(roll(views.length), views.length > 1 ? 1 : 0).forEach((view) => view.close()),
    () => views.splice(roll(views.length), views.length > 1 ? 1 : 0).forEach((view) => view.page.crash()),
    () => pick()?.page.meet('leave'),
    () => pick()?.page.meet('back'),
    () => views.length > 1 && (views[0]!.page.frozen = roll(2) === 0),
    () => pick()?.page.meet((['visible', 'online', 'offline'] as const)[roll(3)]!),
    () => {
      const view = pick();
      const name = TALKS[roll(3)]!;
      if (view?.following.includes(name)) view.unfollow(name);
      else view?.follow(name);
    },
    () => server.cut(roll(2) ? undefined : { reason: 'drain', retry_after: 1 }),
    () => server.snapshot(TALKS[roll(3)]!),
    () => server.ping(),
    () => vi.advanceTimersByTime(roll(2) ? 1000 : 20_000),
    ...Array.from({ length: 8 }, () => () => server.write(TALKS[roll(3)]!, `${(words += 1)} `)),
    ...Array.from({ length: 4 }, () => () => server.say(`${(words += 1)}`)),
  ];

  acts[0]!();
  for (let act = 0; act < 150; act += 1) {
    acts[roll(acts.length)]!();
    await origin.settle(any, roll(25));
    views.forEach((view) => check(origin, view));
  }
  for (const view of views) {
    view.page.frozen = false;
    view.page.meet('back');
  }
  for (let second = 0; second < 120; second += 1) {
    if (second % 15 === 0) server.ping();
    await origin.settle(any);
    vi.advanceTimersByTime(1000);
  }
  server.say('the end');
  await origin.settle(any);

  expect(server.peers.size).toBe(1);
  for (const view of views) {
    check(origin, view);
    for (const name of view.states.keys()) expect(view.text(name)).toBe(server.text(name));
    expect(view.said.at(-1)).toBe('the end');
    expect(view.list).toEqual(server.list.map(({ id }) => id));
    expect(view.link).toBe('open');
  }
});
