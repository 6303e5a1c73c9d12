import { expect, test } from 'vitest';
import { split } from './blocks';
import { write } from './html';
import { SAMPLES } from './samples';

/** What is shown of a text that is still being written. */
const shown = (text: string) => {
  const { blocks, tail } = split(text, true);
  return [...blocks, ...tail].map(write).join('').replace(/\n/g, '');
};

test.each([
  ['some **', '<p>some</p>'],
  ['some **bo', '<p>some <strong>bo</strong></p>'],
  ['some **bo*', '<p>some <strong>bo</strong></p>'],
  ['a *it', '<p>a <em>it</em></p>'],
  ['a __bo', '<p>a <strong>bo</strong></p>'],
  ['***both', '<p><em><strong>both</strong></em></p>'],
  ['~~gone', '<p><del>gone</del></p>'],
  ['so `co', '<p>so <code>co</code></p>'],
  ['**a `b', '<p><strong>a <code>b</code></strong></p>'],
  ['it costs $5 and *so', '<p>it costs $5 and <em>so</em></p>'],
  ['> said **so', '<blockquote><p>said <strong>so</strong></p></blockquote>'],
  ['- a **b**\n- c *d', '<ul><li>a <strong>b</strong></li><li>c <em>d</em></li></ul>'],
  ['# A **b', '<h3>A <strong>b</strong></h3>'],
])('what is open is closed: %j', (text, html) => expect(shown(text)).toBe(html));

test.each([
  ['see [li', '<p>see li</p>'],
  ['see [link](https://x.exa', '<p>see link</p>'],
  ['**[li', '<p><strong>li</strong></p>'],
  ['![al', '<p>al</p>'],
  ['![al](https://x', '<p>al</p>'],
  ['[![al](https://x', '<p>al</p>'],
])('half a link is its words: %j', (text, html) => expect(shown(text)).toBe(html));

test.each([
  ['para\n-', '<p>para</p>'],
  ['para\n--', '<p>para</p>'],
  ['para\n=', '<p>para</p>'],
  ['```', ''],
  ['```pyth', ''],
  ['text <', '<p>text</p>'],
  ['H<sub>2</su', '<p>H<sub>2</p>'],
  ['1. a\n2', '<ol><li>a</li></ol>'],
  ['- [x', '<ul><li></li></ul>'],
  ['end\\', '<p>end</p>'],
])('half a sign is held back: %j', (text, html) => expect(shown(text)).toBe(html));

test.each([
  ['```py\nx = 1\n``', '<pre><code class="language-py">x = 1</code></pre>'],
  ['```py\nx = **1', '<pre><code class="language-py">x = **1</code></pre>'],
  ['- a\n  ```\n  x *y', '<ul><li>a<pre><code>x *y</code></pre></li></ul>'],
  ['a < b and c', '<p>a &lt; b and c</p>'],
  ['if a <b then so', '<p>if a &lt;b then so</p>'],
  ['2 * 3', '<p>2 * 3</p>'],
  ['snake_ca', '<p>snake_ca</p>'],
  ['Hi!', '<p>Hi!</p>'],
  ['42', '<p>42</p>'],
])('what is as it will be is left alone: %j', (text, html) => expect(shown(text)).toBe(html));

test('the first row of a table is a table at once', () => {
  const text = '| a | b |\n|:--|---|\n| 1 |';
  const head = (html: string) => html.includes('<table>') && !html.includes('|');

  for (let end = '| a'.length; end < text.length; end++) expect(head(shown(text.slice(0, end))), text.slice(0, end)).toBe(true);
});

test('no sign of emphasis or code is ever seen in what is written well', () => {
  const text = 'Some *italic*, **bold and more**, ***both***, `co_de` and **`x`**.\n\n- **one**: `two`\n- _three_\n\n> **four** five\n\n| **a** | `b` |\n|---|---|\n| *c* | ~~d~~ |\n';

  for (let end = 1; end <= text.length; end++) {
    const words = shown(text.slice(0, end)).replace(/<[^>]*>/g, '');
    expect(words.replace(/co_(de)?/, ''), text.slice(0, end)).not.toMatch(/[*`_~|]/);
  }
});

test('whatever is cut anywhere is healed without an error', () => {
  for (const text of Object.values(SAMPLES)) for (let end = 0; end <= text.length; end++) expect(() => shown(text.slice(0, end))).not.toThrow();
});
