// @vitest-environment jsdom
import { expect, test } from 'vitest';
import hostile from '../../../tests/browser/hostile.json';
import { split } from './blocks';
import { dress } from './dress';
import { write } from './html';
import { ATTRIBUTES, clean, TAGS } from './safe';

const OURS = new Set(['BUTTON', 'DIV']);
const OUR_ATTRIBUTES = new Set(['aria-label', 'aria-live', 'dir', 'rel', 'role', 'tabindex', 'target']);
const CLASSES = /^(task|code|code-head|code-language|code-word|quiet copy|scrolls|language-[\w+#.-]+)$/;

const tags = new Set(TAGS.toUpperCase().split(' '));
const attributes = new Set(ATTRIBUTES.split(' '));

/** What of an element is not on the lists. */
function foreign(element: Element, isDressed: boolean): string[] {
  const found = tags.has(element.nodeName) || (isDressed && OURS.has(element.nodeName)) ? [] : [element.nodeName];
  for (const { name, value } of element.attributes) {
    if (!attributes.has(name) && !(isDressed && OUR_ATTRIBUTES.has(name))) found.push(`${element.nodeName} ${name}`);
    if (name === 'href' && !/^(https?:\/\/|mailto:)/i.test(value)) found.push(value);
    if (name === 'class' && isDressed && !CLASSES.test(value)) found.push(value);
  }
  return found;
}

const everything = (node: ParentNode) => [...node.querySelectorAll('*')];

const seen = new Set<string>(); // a cut one sign later shows mostly the same

function check(text: string, live: boolean): void {
  const { blocks, tail } = split(text, live);
  for (const html of [...blocks, ...tail].map(write)) {
    if (seen.has(html)) continue;
    seen.add(html);
    const fragment = dress(clean(html));
    expect(everything(fragment).flatMap((element) => foreign(element, true)), text).toEqual([]);
    for (const link of fragment.querySelectorAll('a')) expect([link.target, link.rel]).toEqual(['_blank', 'noopener noreferrer nofollow']);
  }
}

test('DOMPurify works here', () => {
  expect(everything(clean('<img src=x onerror=a()><script>b()</script><b>c</b>')).map(({ outerHTML }) => outerHTML)).toEqual(['<b>c</b>']);
});

test('there are enough of them', () => expect(hostile.length).toBeGreaterThanOrEqual(60));

test.each(hostile)('as Markdown, whole and cut anywhere: %j', (text) => {
  check(text, false);
  for (let end = 0; end <= text.length; end++) check(text.slice(0, end), true);
});

test.each(hostile)('as HTML, past all that reads Markdown: %j', (text) => {
  expect(everything(clean(text)).flatMap((element) => foreign(element, false))).toEqual([]);
});

test('any two of them together', () => {
  for (const [place, text] of hostile.entries()) check(`${text}\n${hostile[(place * 7 + 3) % hostile.length]}`, false);
});

test.each([
  ['<a href="https://x" class="copy" id=a name=b style="color:red" data-x=1 aria-label=Send target=_self>x</a>', '<a href="https://x">x</a>'],
  ['<code class="language-js copy">x</code><code class="language-js">y</code>', '<code>x</code><code class="language-js">y</code>'],
  ['<span class="hljs-title function_">x</span><span class="caret">y</span>', '<span class="hljs-title function_">x</span><span>y</span>'],
  ['<input type=text><input type=checkbox checked name=x value=y><input type=image src=https://x>', '<input type="checkbox" checked="">'],
  ['<table><tr><td align=center bgcolor=red>x</td></tr></table>', '<table><tbody><tr><td align="center">x</td></tr></tbody></table>'],
  ['<a href="/schema">x</a><a href="tel:1">y</a><a href="ftp://z">z</a>', '<a>x</a><a>y</a><a>z</a>'],
  ['<p title="t" align="center">x</p>', '<p title="t">x</p>'],
])('only so much is kept: %s', (html, kept) => {
  const box = document.createElement('div');
  box.append(clean(html));
  expect(box.innerHTML).toBe(kept);
});
