import { expect, test } from 'vitest';
import { roomFor } from './bytes';

test.each([
  ['', 100, { left: 100, near: false, over: false }],
  ['a'.repeat(79), 100, { left: 21, near: false, over: false }],
  ['a'.repeat(80), 100, { left: 20, near: true, over: false }],
  ['a'.repeat(100), 100, { left: 0, near: true, over: false }],
  ['a'.repeat(101), 100, { left: -1, near: true, over: true }],
  ['é'.repeat(50), 100, { left: 0, near: true, over: false }],
  ['語'.repeat(34), 100, { left: -2, near: true, over: true }],
  ['😀'.repeat(25), 100, { left: 0, near: true, over: false }],
])('bytes are counted, not characters: %s of %i', (text, limit, room) => {
  expect(roomFor(text, limit)).toEqual(room);
});

test('as long as the limit is not known, there is room', () => {
  expect(roomFor('a'.repeat(1_000_000), Infinity)).toMatchObject({ near: false, over: false });
});
