import { afterEach, expect, test, vi } from 'vitest';
import type { Conversation } from '../client/protocol';
import { byDay, period, untilMidnight } from './days';

const NOW = new Date(2026, 2, 31, 15, 30); // a Tuesday, two days after Europe's clocks went forward
const at = (year: number, month: number, day: number, hour = 12) => new Date(year, month - 1, day, hour);
const one = (time: Date): Conversation => ({
  id: `${time.getTime()}`,
  title: '',
  head: null,
  running: [],
  created_at: time.toISOString(),
  updated_at: time.toISOString(),
});

test.each([
  [at(2026, 3, 31, 0), 'Today'],
  [at(2026, 4, 1), 'Today'], // a server whose clock is ahead
  [at(2026, 3, 30, 23), 'Yesterday'],
  [at(2026, 3, 30, 0), 'Yesterday'],
  [at(2026, 3, 29), 'Sunday'],
  [at(2026, 3, 25, 0), 'Wednesday'],
  [at(2026, 3, 24, 23), 'March 2026'],
  [at(2025, 3, 31), 'March 2025'],
  [at(2025, 12, 31), 'December 2025'],
  [new Date('rubbish'), 'Some time'],
])('%s is %s', (time, label) => {
  expect(period(time, NOW).label).toBe(label);
});

test('groups stand in the order of the list, each once', () => {
  const times = [at(2026, 3, 31), at(2026, 3, 31, 1), at(2026, 3, 30), at(2026, 3, 25), at(2026, 3, 24), at(2026, 3, 2), at(2025, 3, 2)];

  const days = byDay(times.map(one), NOW);

  expect(days.map(({ label, blocks }) => [label, blocks.flatMap(({ rows }) => rows).length])).toEqual([
    ['Today', 2], ['Yesterday', 1], ['Wednesday', 1], ['March 2026', 2], ['March 2025', 1],
  ]);
});

test('a group in which nothing changed is the same object, and midnight moves all', () => {
  const list = [at(2026, 3, 31), at(2026, 3, 30), at(2026, 3, 2)].map(one);
  const before = byDay(list, NOW);

  const after = byDay([one(at(2026, 3, 31, 14)), ...list], NOW, before);
  const tomorrow = byDay(list, at(2026, 4, 1, 0), before);

  expect(after[0]).not.toBe(before[0]);
  expect(after.slice(1).every((day, place) => day === before[place + 1])).toBe(true);
  expect(tomorrow.map(({ label }) => label)).toEqual(['Yesterday', 'Monday', 'March 2026']);
});

afterEach(() => void vi.unstubAllEnvs());

test.each([
  ['Pacific/Kiritimati', 'Today', 'Saturday'], // the same moments, fourteen hours ahead and eleven behind
  ['Pacific/Pago_Pago', 'Yesterday', 'Thursday'],
])('a time is told by the calendar of %s', (zone, today, weekday) => {
  vi.stubEnv('TZ', zone);

  expect(period(new Date('2026-03-30T10:30:00Z'), new Date('2026-03-30T12:30:00Z')).label).toBe(today);
  expect(period(new Date('2026-03-27T10:30:00Z'), new Date('2026-03-30T12:30:00Z')).label).toBe(weekday);
});

test('a day that summer time makes shorter or longer is one day', () => {
  vi.stubEnv('TZ', 'Europe/Berlin'); // the clocks change on March 29 and October 25

  expect(untilMidnight(at(2026, 3, 29, 0))).toBe(23 * 3600 * 1000);
  expect(untilMidnight(at(2026, 10, 25, 0))).toBe(25 * 3600 * 1000);
  for (const [month, day] of [[3, 29], [10, 25]] as const) {
    const now = at(2026, month, day + 1, 0);
    expect(period(at(2026, month, day, 0), now).label).toBe('Yesterday');
    expect(period(at(2026, month, day - 1, 23), now).label).toBe('Saturday');
  }
});

test('midnight is as far away as the clock says', () => {
  expect(untilMidnight(new Date(2026, 2, 31, 23, 59, 59))).toBe(1000);
  expect(untilMidnight(new Date(2026, 2, 31))).toBe(24 * 3600 * 1000);
});
