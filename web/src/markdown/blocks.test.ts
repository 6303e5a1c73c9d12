import { describe, expect, test } from 'vitest';
import { split, type Split } from './blocks';
import { write } from './html';
import { DEFINING, SAMPLES } from './samples';

const html = (blocks: Split['blocks']) => blocks.map(write).filter(Boolean);
const whole = (text: string) => html(split(text, false).blocks);

/** Let a text grow by pieces, and say what was there after each. */
function grown(pieces: string[]): Split[] {
  const splits: Split[] = [];
  let text = '';
  for (const piece of pieces) splits.push(split((text += piece), true, splits.at(-1)));
  return splits;
}

const ended = (text: string, before?: Split) => html(split(text, false, before).blocks);

describe.each(Object.entries({ ...SAMPLES, ...DEFINING }))('%s', (_, text) => {
  test('reads the same whether it came at once or sign by sign', () => {
    expect(ended(text, grown([...text]).at(-1))).toEqual(whole(text));
  });

  test('reads the same wherever it was cut', () => {
    for (let cut = 0; cut <= text.length; cut++)
      expect(ended(text, split(text.slice(0, cut), true)), `cut at ${cut}`).toEqual(whole(text));
  });

  test('keeps what is finished: the same objects, and only more of them', () => {
    let before: Split['blocks'] = [];
    for (const { blocks } of grown([...text])) {
      expect(blocks.slice(0, before.length).every((block, place) => block === before[place])).toBe(true);
      before = blocks;
    }
  });

  test('ends at any place as if it had been no longer', () => {
    const splits = grown([...text]);
    for (let end = 1, at = 0; at < splits.length; at++) {
      const part = [...text].slice(0, at + 1).join('');
      expect(ended(part, splits[at]), `end at ${end++}`).toEqual(whole(part));
    }
  });
});

test('texts of any lines in any order read the same however they came', () => {
  const lines = Object.values(SAMPLES).flatMap((text) => text.split('\n'));
  const some = random(7);
  for (let round = 0; round < 1500; round++) {
    const text = Array.from({ length: 2 + (some() % 9) }, () => lines[some() % lines.length]).join('\n');
    const pieces: string[] = [];
    for (let at = 0; at < text.length; ) pieces.push(text.slice(at, (at += 1 + (some() % 12))));
    expect(ended(text, grown(pieces).at(-1)), JSON.stringify(text)).toEqual(whole(text));
  }
});

test('a text that does not go on from the earlier one starts over', () => {
  const before = split('# One\n\nText\n\nmore', true);

  expect(html(split('# Two\n\nText\n\nmore', true, before).blocks)).toEqual(whole('# Two\n\nText\n'));
});

test('what is finished is not read again', () => {
  const text = Object.values(SAMPLES).join('\n\nA paragraph between.\n\n');
  const splits = grown(text.match(/[^]{1,4}/g) ?? []);
  const tails = splits.map(({ lines, at }) => lines.length - at);

  expect(Math.max(...tails)).toBeLessThan(600);
});

test('a text that ends in a list of many items has them in one block', () => {
  const text = '- item\n'.repeat(50);

  expect(grown([text])[0]?.tail.filter(({ type }) => type === 'list')).toHaveLength(1);
});

test('what is nested deeper than can be read is shown as code', () => {
  const text = '>'.repeat(20_000) + ' deep';

  expect(whole(text).join('')).toContain('deep');
});

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state >>> 8;
  };
}
