import { expect, test } from 'vitest';
import { cut } from './marks';

const shown = (text: string, ranges: [number, number][]) =>
  cut(text, ranges).map((piece) => (piece.found ? `[${piece.text}]` : piece.text)).join('');

test.each<[string, [number, number][], string]>([
  ['the gulls want the ferry', [[4, 9], [19, 24]], 'the [gulls] want the [ferry]'],
  ['gulls', [[0, 5]], '[gulls]'],
  ['👩‍🚀 waves', [[6, 11]], '👩‍🚀 [waves]'],
  ['東京タワー', [[2, 5]], '東京[タワー]'],
  ['nothing', [], 'nothing'],
  ['rubbish', [[5, 2], [-3, 2], [3, 3], [6, 99], [NaN, 2]], 'rubbish'],
  ['overlap', [[0, 4], [2, 6]], '[over]lap'],
])('%s is cut where it was found, and always shown whole', (text, ranges, found) => {
  expect(shown(text, ranges)).toBe(found);
  expect(cut(text, ranges).map((piece) => piece.text).join('')).toBe(text);
});
