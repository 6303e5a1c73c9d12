import { expect, test } from 'vitest';
import { adopted, isMore, leavesOut, mark, nothing, reached, step, type Held, type StreamName } from './held';
import type { State } from './reduce';

const A = 'conversation/a';
const id = (seq: number, epoch = 'aaa') => `${epoch}-${String(seq).padStart(12, '0')}`;
const at = (seq: number, more: Partial<Held> = {}): Held => ({ ...nothing(A), cursor: id(seq), ...more });
const event = (seq: number, epoch = 'aaa') => ({ stream: A, id: id(seq, epoch), frame: { type: 'reply.painted' } }) as const;
const hello = (stream: StreamName, more: object) => ({ stream, id: null, frame: { type: 'hello', ...more } }) as const;

test('each event is dealt with once, and what comes behind it stands at its id', () => {
  expect(step(at(3), event(3))).toBe('known');
  expect(step(at(3), event(1))).toBe('known');
  expect(step(at(3), event(4))).toMatchObject({ cursor: id(4) });
});

test('numbers are compared as numbers', () => {
  expect(step(at(9), event(10))).toMatchObject({ cursor: id(10) });
  expect(reached(id(100), id(99))).toBe(true);
});

test('who stands before what the teller came from has missed something', () => {
  expect(step(at(3), { ...event(6), after: id(5) })).toBe('missed');
  expect(step(at(5), { ...event(7), after: id(5) })).toMatchObject({ cursor: id(7) }); // 6 was of a type that nobody knows
  expect(step(at(6), { ...event(7), after: id(5) })).toMatchObject({ cursor: id(7) });
  expect(step(at(3), event(4, 'bbb'))).toBe('missed');
});

test('before a snapshot nothing counts, and after the end nothing either', () => {
  expect(step(nothing(A), event(1))).toBe('known');
  expect(step(at(1, { over: true }), event(2))).toBe('known');
});

test.each(['epoch', 'ahead', 'behind', null])('a cursor that is refused (%s) is none any more', (reason) => {
  expect(step(at(3), hello(A, { resumed: false, reason, cursor: id(9) }))).toMatchObject({ cursor: null });
  expect(step(at(3), hello(A, { resumed: true, reason: null, cursor: id(3) }))).toMatchObject({ cursor: id(3) });
});

test('the channel goes on from where hello says, but for one who was there before the leader joined', () => {
  const joined = hello('broadcast', { resumed: false, reason: null, cursor: id(9) });
  const behind = hello('broadcast', { resumed: false, reason: 'behind', cursor: id(9) });

  expect(step(nothing('broadcast'), joined)).toMatchObject({ cursor: id(9), since: id(9) });
  expect(step({ ...nothing('broadcast'), cursor: id(3) }, joined)).toMatchObject({ cursor: id(3) });
  expect(step({ ...nothing('broadcast'), cursor: id(3) }, behind)).toMatchObject({ cursor: id(9), since: id(9) });
});

test('who joined later than another leaves out what that one has not heard', () => {
  const channel = (cursor: number, since: number): Held => ({ ...nothing('broadcast'), cursor: id(cursor), since: id(since) });

  expect(leavesOut(channel(9, 5), channel(4, 1))).toBe(true);
  expect(leavesOut(channel(9, 5), channel(5, 1))).toBe(false);
  expect(leavesOut(nothing('broadcast'), channel(5, 1))).toBe(true);
  expect(leavesOut(nothing('broadcast'), nothing('broadcast'))).toBe(false);
});

test('the end of a stream is an end for good', () => {
  const over = step(at(3), { stream: A, id: null, frame: { type: 'bye', reason: 'deleted' } as never }) as Held;

  expect([over.over, (over.state as State).deleted, mark(over)]).toEqual([true, true, 'over']);
  expect(step(at(3), { stream: A, id: null, frame: { type: 'bye', reason: 'drain' } as never })).toMatchObject({ over: false });
});

test('what is handed over is taken where it is more', () => {
  expect(adopted(at(3), at(3))).toBe('known');
  expect(adopted(at(4), at(3))).toBe('known');
  expect(adopted(at(2), at(3))).toMatchObject({ cursor: id(3) });
  expect(adopted(nothing(A), at(3))).toMatchObject({ cursor: id(3) });
  expect(adopted(at(4), { ...nothing(A), cursor: id(1, 'bbb') })).toMatchObject({ cursor: id(1, 'bbb') });
  expect(adopted(at(4), at(3, { over: true }))).toMatchObject({ over: true });
});

test('what is whole here stays so when a state is handed over that only outlines it', () => {
  const outline = { id: 'm', parent: null, role: 'user', status: 'completed' } as const;
  const whole = { ...outline, parts: [], text: 'old', created_at: '' };
  const state = (message: typeof outline) => ({ conversation: null, messages: [message], deleted: false });

  const next = adopted(at(2, { state: state(whole) }), at(3, { state: state(outline) })) as Held;

  expect((next.state as State).messages).toEqual([whole]);
});

test('only what is more is handed over', () => {
  expect(isMore(at(3), id(3))).toBe(false);
  expect(isMore(at(3), id(4))).toBe(false);
  expect(isMore(nothing(A), null)).toBe(false);
  expect([isMore(at(3), null), isMore(at(3), id(2)), isMore(at(3), id(9, 'bbb'))]).toEqual([true, true, true]);
  expect([isMore(at(3, { over: true }), id(9)), isMore(at(3, { over: true }), 'over')]).toEqual([true, false]);
});

test.each(['', 'conversation', 'Broadcast', 'conversation', 'lists'])('%j is no name of a stream', (name) => {
  expect(() => nothing(name as StreamName)).toThrow(TypeError);
});

test.each(['', 'a b', 'a@b', 'a&b', '../events', 'x'.repeat(200), '\n'])('there is no conversation %j', (name) => {
  expect(nothing(`conversation/${name}`)).toMatchObject({ over: true, state: { deleted: true } });
});
