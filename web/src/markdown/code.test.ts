// @vitest-environment jsdom
import { beforeEach, expect, test, vi } from 'vitest';
import { copy, highlight, NAMES } from './code';
import { dress } from './dress';
import { read, write } from './html';
import { paint } from './languages';
import { clean } from './safe';

let root: HTMLElement;

beforeEach(() => {
  root = document.createElement('div');
  document.body.replaceChildren(root);
  getSelection()?.removeAllRanges();
});

function show(code: string, language: string): HTMLElement {
  root.append(...read(`\`\`\`${language}\n${code}\n\`\`\``).map((token) => dress(clean(write(token)))));
  highlight(root.lastElementChild as Element);
  return root.lastElementChild?.querySelector('code') as HTMLElement;
}

const painted = (where = root) => vi.waitFor(() => expect(where.querySelector('.hljs-string')).not.toBeNull(), 60_000);

test('what is not known, not named or too long stays as it is, and the rest gets its colours', async () => {
  const [unknown, bare, long] = [show('let a = "b";', 'klingon'), show('let a = "b";', ''), show('let a = "b";\n'.repeat(2000), 'js')];
  show('let a = "<b>";', 'TS');

  await painted();

  expect([unknown, bare, long].map((code) => code?.querySelector('span'))).toEqual([null, null, null]);
});

test('the colours change no letter', async () => {
  const text = 'const a = "<img src=x onerror=b()>"; // </code></pre><script>';
  const code = show(text, 'javascript');

  await painted();

  expect(code.textContent).toBe(text);
});

test('code that holds the caret as it is finished is coloured all the same', async () => {
  root.append(...read('```js\nlet a = "b";\n```').map((token) => dress(clean(write(token)))));
  root.querySelector('code')?.classList.add('caret');

  highlight(root.lastElementChild as Element);

  await painted();
});

test('what is selected is coloured when it is no longer', async () => {
  const code = show('let a = "b";', 'js');
  getSelection()?.selectAllChildren(code);
  show('let c = "d";', 'js');
  await painted();
  expect(code.querySelector('span')).toBeNull();

  getSelection()?.removeAllRanges();

  await painted(code);
});

test('every name that loads the languages is one of theirs', () => {
  expect([...NAMES].filter((name) => paint('x', name) === undefined)).toEqual([]);
});

test('a press beside the button copies nothing', () => {
  show('x', 'js');

  expect(() => root.querySelector('pre')?.dispatchEvent(new Event('click'))).not.toThrow();
  copy(new Event('click'));
  expect(root.querySelector('.code-word')?.textContent).toBe('');
});
