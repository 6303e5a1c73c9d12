/** Conversations by the day of their last activity, as the reader's own clock and calendar tell it. Pure. */
import type { Conversation } from '../client/protocol';
import { blocksOf, type Block } from './blocks';

export interface Day {
  label: string;
  blocks: readonly Block<Conversation>[];
}

// These would keep to the time zone that they were made in, which travellers leave.
const weekday = new Intl.DateTimeFormat('en', { weekday: 'long', timeZone: 'UTC' });
const month = new Intl.DateTimeFormat('en', { month: 'long', year: 'numeric', timeZone: 'UTC' });

/** The calendar's days from one date to another; hours do not count, so neither does summer time. */
const daysBetween = (from: Date, to: Date) => (number(to) - number(from)) / 86_400_000;
const number = (date: Date) => Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());

/** Return the name of the days that a time belongs to, and when the first of them began. */
export function period(at: Date, now: Date): { label: string; since: Date } {
  const [year, of, day] = [at.getFullYear(), at.getMonth(), at.getDate()];
  if (Number.isNaN(year)) return { label: 'Some time', since: new Date(0) };
  const ago = daysBetween(at, now);
  if (ago <= 0) return { label: 'Today', since: new Date(now.getFullYear(), now.getMonth(), now.getDate()) };
  const since = new Date(year, of, day);
  if (ago === 1) return { label: 'Yesterday', since };
  if (ago < 7) return { label: weekday.format(number(at)), since };
  // A month that began long ago may have ended within the last week; those days stand on their own.
  return { label: month.format(number(at)), since: new Date(year, of, 1) };
}

/**
 * Group conversations that stand newest first. A group in which nothing has changed is the very object that it was in
 * `before`, so that a page need not look into it.
 */
export function byDay(list: readonly Conversation[], now: Date, before: readonly Day[] = []): Day[] {
  const days = new Map<string, Conversation[]>();
  let floor = '';
  let rows: Conversation[] | undefined;
  for (const one of list) {
    if (!rows || one.updated_at < floor) {
      const { label, since } = period(new Date(one.updated_at), now);
      floor = since.toISOString().slice(0, 19); // without a fraction and Z: less, as text, than any time of that second
      rows = days.get(label) ?? [];
      days.set(label, rows);
    }
    rows.push(one);
  }
  const known = new Map(before.map((day) => [day.label, day]));
  return Array.from(days, ([label, rows]) => {
    const was = known.get(label);
    const blocks = blocksOf(rows, was?.blocks);
    return was && same(was.blocks, blocks) ? was : { label, blocks };
  });
}

const same = <T>(ones: readonly T[], others: readonly T[]) =>
  ones.length === others.length && ones.every((one, at) => one === others[at]);

/** Milliseconds until the calendar turns its page. */
export const untilMidnight = (now: Date) =>
  new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1).getTime() - now.getTime();
