/** Texts as models write them, and texts made to be difficult: for tests. */
export const SAMPLES: Record<string, string> = {
  plain: 'One line.\nThe next one.\n\nA paragraph of its own, with a longer sentence in it.',
  headings: '# One\n\nText\n## Two\nText\n\nThree\n=====\n\nFour\n----\n\n#not one\n\n####### nor this\n\n###### Six #\n',
  emphasis: 'Some *italic*, **bold**, ***both***, _this_ and __that__, ~~gone~~, 5~10, snake_case_word, 2 * 3 * 4, `a*b`.',
  lists: '- one\n- two\n  - inner\n    - innermost\n- three\n\n  a paragraph of three\n\n- four\n\nEnd.\n\n1. a\n2. b\n   continued\n\n   more\n3. c\n\n7) seven\n',
  loose: '* a\n\n\n* b\n\n    code of b\n\nafter\n- x\n* y\n+ z\n',
  tasks: '- [ ] to do\n- [x] done\n- [X] done too\n  - [ ] inner\n1. [ ] first\n\n- [] none\n- [ ]none\n',
  table: 'Before\n\n| a | b | c |\n|---|:-:|--:|\n| 1 | **2** | `3|4` |\n| 5 | 6 \\| 7 |\n| 8 |\n\nAfter\n\na | b\n--|--\n1 | 2\nno bar\n\nText\n| x |\n|---|\n| y |\n# Heading\n',
  code: 'Look:\n\n```python\ndef f(x):\n    return "```" if x else """\n\n"""\n```\n\nand\n~~~\ntilde\n```\n~~~\nthen\n````md\n```js\nlet a;\n```\n````\n\n    indented\n\n    still\n\ntext\n',
  open: 'An open fence:\n\n```js\nlet a = 1;\n\n\nlet b = 2;\n',
  listcode: '1. Do this:\n   ```sh\n   ls -l\n\n   cd ..\n   ```\n2. Then that:\n\n   ```\n   x\n   ```\n\nDone.\n',
  quotes: '> one\n> two\nlazy\n>\n> - a\n> - b\n>\n> ```\n> code\n> ```\n\n> another\n\n>> deep\n> back\n\nout\n',
  links:
    'See [a link](https://example.com "a title"), <https://example.org/?a=1&b=2>, https://example.net/x_y_z, www.example.com, me@example.com,\n[brackets [in] it](https://example.com/a_(b)), ![an image](https://example.com/a.png), [![both](https://a.example/i.png)](https://b.example).',
  rules: 'a\n\n---\n\nb\n***\nc\n\n- - -\n___\n',
  breaks: 'one  \ntwo\\\nthree\nfour<br>five<br/>six',
  html: '<div>\n\n**bold**\n\n</div>\n\nH<sub>2</sub>O, E=mc<sup>2</sup>, press <kbd>Ctrl</kbd>, <b>b</b> <img src=x> <!-- no --> <span class="x">s</span>\n\n<details>\n<summary>S</summary>\n\ntext\n</details>\n\n<script>\nlet x = 1;\n\nlet y;\n</script>\n',
  entities: '&lt;b&gt; &amp; &copy; &#65; &#x42; AT&T &nope; \\*not\\* \\# \\[x\\] a < b > c && d',
  crlf: 'one\r\ntwo\r\n\r\n- a\r\n- b\r\n\r\n```\r\ncode\r\n```\r\nend\rlast',
  unicode: '日本語の**太字**です。\n\n- עברית\n- العربية **غامق**\n\n👩‍👩‍👧 e\u0301 \u{1F600} \u2028 x\u0085y\u00a0z',
  spaces: '\n\n\n   text\n   \n  \n\t\n\ttabbed code\n \n   three\n\n\n\n',
  tabs: '-\ta\n-\tb\n\n\t\tcode?\n\n1.\tx\n\ty\n',
  nested: '1. a\n   - b\n     1. c\n        > d\n        >\n        > - e\n   - f\n2. g\n',
  math: 'Inline $x_1 * y_2$ and\n\n$$\na * b * c\n$$\n\nthen \\(z\\) and it costs $5 or $6.',
  footnote: 'A claim[^1] and [1], [x] and [ ].\n\n[^1]: The note.\n\n    more of it\n\nText.',
  setext: 'a\nb\nc\n---\nd\n\n- e\n---\nf\n===\n\n> g\n---\n',
  interrupts: 'text\n- list\ntext\n1. one\ntext\n2. two\ntext\n# heading\ntext\n> quote\ntext\n```\ncode\n```\ntext\n* * *\ntext\n<div>\ntext\n| a |\n|---|\ntext\n',
  unbalanced: '**bold and *italic** and_ `code and [link](https://x.example and ![image]( and ~~strike',
  thinking: '<think>\nLet me see.\n\n1. First\n</think>\n\nThe answer is **42**.\n',
};

/** Texts where a link is defined, mostly after its use. */
export const DEFINING: Record<string, string> = {
  later: 'See [this] and [that][t].\n\n- [in a list][t]\n\nMore.\n\n[this]: https://example.com\n[t]: <https://example.org>\n  "a title"\n\nEnd [this].\n',
  first: '[a]: https://a.example\n\n[a] and [A][] and ![a]\n\n[a]: https://second.example\n\n[a]\n',
  names: '[constructor] [__proto__] [toString]\n\n[__proto__]: https://p.example\n\n[__proto__]\n',
  nested: '[q] [l]\n\n> [q]: https://q.example\n\n- [l]: https://l.example\n\n[q] [l]\n',
};
