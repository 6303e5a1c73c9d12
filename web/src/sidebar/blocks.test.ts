import { expect, test } from 'vitest';
import { blocksOf, type Block } from './blocks';

const rows = (count: number, name = 'row') => Array.from({ length: count }, (_, at) => ({ name: `${name} ${at}` }));
const sizes = (blocks: readonly Block<unknown>[]) => blocks.map((block) => block.rows.length);
const kept = (after: readonly Block<unknown>[], before: readonly Block<unknown>[]) =>
  after.filter((block) => before.includes(block)).length;

test('a list is cut into blocks, in order', () => {
  const list = rows(230);

  const blocks = blocksOf(list);

  expect(sizes(blocks)).toEqual([46, 46, 46, 46, 46]);
  expect(blocks.flatMap((block) => block.rows)).toEqual(list);
  expect(sizes(blocksOf(rows(100)))).toEqual([100]);
  expect(blocksOf([])).toEqual([]);
});

test('a row that changes and moves to the top changes two blocks and leaves the others as they were', () => {
  const list = rows(1000);
  const before = blocksOf(list);

  const after = blocksOf([{ name: 'changed' }, ...list.toSpliced(700, 1)], before);

  expect(kept(after, before)).toBe(before.length - 2);
  expect(after.map(({ key }) => key)).toEqual(before.map(({ key }) => key));
  expect(after[0]?.rows[0]).toEqual({ name: 'changed' });
});

test('a page that follows makes new blocks only', () => {
  const list = rows(50);
  const before = blocksOf(list);

  const after = blocksOf([...list, ...rows(100, 'older')], before);

  expect(sizes(after)).toEqual([50, 50, 50]);
  expect(after[0]).toBe(before[0]);
});

test('the first block is cut when it has grown long, and no key is given twice', () => {
  let list = rows(200);
  let blocks = blocksOf(list);
  for (let at = 0; at < 500; at += 1) {
    list = [{ name: `new ${at}` }, ...list];
    blocks = blocksOf(list, blocks);
  }

  expect(blocks.flatMap((block) => block.rows)).toEqual(list);
  expect(Math.max(...sizes(blocks))).toBeLessThanOrEqual(100);
  expect(new Set(blocks.map(({ key }) => key)).size).toBe(blocks.length);
  expect(new Set(blocksOf(list.toReversed(), blocks).map(({ key }) => key)).size).toBe(blocks.length);
});
