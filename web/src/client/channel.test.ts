import { expect, test } from 'vitest';
import { QUIET, reduceChannel } from './channel';

test('a line has a number of its own, and the oldest go', () => {
  let state = QUIET;
  for (let count = 1; count <= 250; count += 1) {
    state = reduceChannel(state, { type: 'message', text: `line ${count}`, notice: count % 2 === 0 });
  }

  expect(state.lines).toHaveLength(200);
  expect(state.lines.at(0)).toEqual({ number: 51, text: 'line 51', notice: false });
  expect(state.lines.at(-1)).toEqual({ number: 250, text: 'line 250', notice: true });
});

test('what is no line changes nothing', () => {
  expect(reduceChannel(QUIET, { type: 'ping' })).toEqual(QUIET);
});
