import { expect, test } from 'vitest';
import { heard, type Line } from './channel.svelte';

test('lines come in order, and the oldest go where there are many', () => {
  let lines: Line[] = [];

  for (let n = 1; n <= 1000; n += 1) lines = heard(lines, `line ${n}`, false);

  expect(lines.map(({ text }) => text)).toEqual(Array.from({ length: 200 }, (_, n) => `line ${801 + n}`));
  expect(new Set(lines.map(({ number }) => number)).size).toBe(200);
});
