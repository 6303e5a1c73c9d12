import { expect, test } from 'vitest';
import { read, write } from './html';

const html = (text: string) => read(text).map(write).join('').replace(/\n/g, '');

test.each([
  ['# One', '<h3>One</h3>'],
  ['###### Six', '<h6>Six</h6>'],
  ['one\ntwo', '<p>one<br>two</p>'],
  ['5~10 or ~~20~~', '<p>5~10 or <del>20</del></p>'],
  ['a < b && &copy;', '<p>a &lt; b &amp;&amp; &copy;</p>'],
  ['```c++ x=1\n&lt;\n```', '<pre><code class="language-c++">&amp;lt;</code></pre>'],
  ['```"x\ny\n```', '<pre><code>y</code></pre>'],
  ['3. a', '<ol start="3"><li>a</li></ol>'],
])('%j', (text, shown) => expect(html(text)).toBe(shown));

test.each([
  ['[a *b*](https://x.example "t & u")', '<a href="https://x.example" title="t &amp; u">a <em>b</em></a>'],
  ['<https://x.example/?a=1&b=2&copy=3>', '<a href="https://x.example/?a=1&amp;b=2&amp;copy=3">https://x.example/?a=1&amp;b=2&amp;copy=3</a>'],
  ['www.x.example', '<a href="http://www.x.example">www.x.example</a>'],
  ['<a x>https://x.example', '&lt;a x&gt;<a href="https://x.example">https://x.example</a>'],
  ['a@x.example', '<a href="mailto:a@x.example">a@x.example</a>'],
  ['[a](/b)', 'a'],
  ['[a](javascript:b)', 'a'],
])('only addresses of the web and of mail are links: %s', (text, shown) => expect(html(text)).toBe(`<p>${shown}</p>`));

test.each([
  ['![a b](https://x.example/i.png)', '<a href="https://x.example/i.png" title="Image">a b</a>'],
  ['![](https://x.example/i.png)', '<a href="https://x.example/i.png" title="Image">Image</a>'],
  ['![a](data:image/png;base64,AA)', 'a'],
  ['[![a](https://x.example/i.png)](https://y.example)', '<a href="https://y.example">a</a>'],
])('an image is a link to it: %s', (text, shown) => expect(html(text)).toBe(`<p>${shown}</p>`));

test.each([
  ['H<sub>2</sub>O<BR/>x', '<p>H<sub>2</sub>O<br>x</p>'],
  ['<b onclick=x>b</b>', '<p>&lt;b onclick=x&gt;b</b></p>'],
  ['<div>\n\n**so**\n\n</div>', '<p>&lt;div&gt;</p><p><strong>so</strong></p><p>&lt;/div&gt;</p>'],
  ['<script>\nlet a;\n\nb', '<p>&lt;script&gt;<br>let a;</p><p>b</p>'],
  ['<!-- a --> b', '<p>&lt;!-- a --&gt; b</p>'],
  ['<kbd><img></kbd> <x>', '<p><kbd>&lt;img&gt;</kbd> &lt;x&gt;</p>'],
])('HTML is text, but for a few plain tags: %j', (text, shown) => expect(html(text)).toBe(shown));

test('what would take too long to read is shown as it stands', () => {
  for (const text of ['_a'.repeat(3000), '!'.repeat(9000), '- '.repeat(3000), '>'.repeat(9000), 'a|'.repeat(900) + '\n' + '-|'.repeat(900)])
    expect(html(text).length).toBeLessThan(text.length * 5);
});
