// @vitest-environment jsdom
import { beforeEach, expect, test, vi } from 'vitest';
import { DEFINING, SAMPLES } from './samples';
import { View } from './view';

let root: HTMLElement;
let frames: ((() => void) | undefined)[];
let clock: number;

beforeEach(() => {
  root = document.createElement('div');
  root.className = 'markdown';
  document.body.replaceChildren(root);
  frames = [];
  clock = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => clock);
  vi.stubGlobal('requestAnimationFrame', (run: (now: number) => void) => frames.push(() => run(clock)));
  vi.stubGlobal('cancelAnimationFrame', (place: number) => void (frames[place - 1] = undefined));
});

const frame = () => frames.splice(0).forEach((run) => run?.());
const shown = () => root.innerHTML.replace(/ class="caret"|(?<=class="task) caret| class=""/g, '').replace(/\n/g, '');

function whole(text: string): string {
  const other = document.createElement('div');
  new View(other).show(text, false);
  return other.innerHTML.replace(/\n/g, '');
}

test.each(Object.entries({ ...SAMPLES, ...DEFINING }))('%s: what has grown ends as what came at once', (_, text) => {
  const view = new View(root);
  for (let end = 0; end < text.length; end += 3) {
    view.show(text.slice(0, end), true);
    frame();
  }
  view.show(text, false);

  expect(shown()).toBe(whole(text));
});

test('what is finished keeps its nodes, and so does what only grows', () => {
  const view = new View(root);
  view.show('One **two**.\n\nThree', true);
  const [first, last] = root.children;
  const [word] = last?.childNodes ?? [];

  view.show('One **two**.\n\nThree four *five', true);
  frame();
  view.show('One **two**.\n\nThree four *five* six.', false);

  expect([...root.children]).toEqual([first, last]);
  expect(last?.firstChild).toBe(word);
  expect(shown()).toBe('<p dir="auto">One <strong>two</strong>.</p><p dir="auto">Three four <em>five</em> six.</p>');
});

test('many texts within a frame are shown once', () => {
  const view = new View(root);
  view.show('a', true);
  for (const text of ['ab', 'abc', 'abcd']) view.show(text, true);
  expect(root.textContent).toBe('a');
  expect(frames).toHaveLength(1);

  frame();

  expect(root.textContent).toBe('abcd');
});

test('what takes long to show is shown less often', () => {
  const view = new View(root);
  const slow = vi.spyOn(root, 'lastElementChild', 'get').mockImplementation(() => ((clock += 20), null));
  view.show('a', true);
  slow.mockRestore();
  const cost = clock;
  view.show('ab', true);

  clock += cost;
  frame();
  expect(root.textContent).toBe('a');
  clock += 3 * cost;
  frame();

  expect(root.textContent).toBe('ab');
});

test('the end is shown at once', () => {
  const view = new View(root);
  view.show('a', true);
  view.show('ab', true);

  view.show('abc', false);

  expect(root.textContent).toBe('abc');
  expect(frames.filter(Boolean)).toEqual([]);
});

test('the caret stands behind the last word while more is to come', () => {
  const view = new View(root);
  view.show('One\n\n- two\n- three', true);
  expect([...root.querySelectorAll('.caret')].map(({ outerHTML }) => outerHTML)).toEqual(['<li class="caret">three</li>']);

  view.show('One\n\n- two\n- three', false);

  expect(root.querySelector('.caret')).toBeNull();
});

test('another text takes the place of the first', () => {
  const view = new View(root);
  view.show('# One\n\nText\n\n- a', true);

  view.show('Other', false);

  expect(shown()).toBe('<p dir="auto">Other</p>');
});

test('a view that has ended draws no more', () => {
  const view = new View(root);
  view.show('a', true);
  view.show('ab', true);

  view.end();

  expect(frames.filter(Boolean)).toEqual([]);
});

test('a table and code can be scrolled by the keyboard, and have a name', () => {
  new View(root).show('| a |\n|---|\n| b |\n\n```sh\nls\n```\n\n```\nx\n```\n\n- [x] done\n', false);

  const named = [...root.querySelectorAll('[tabindex="0"]')].map((element) => `${element.getAttribute('role')} ${element.getAttribute('aria-label')}`);
  expect(named).toEqual(['group Table', 'group Code: sh', 'group Code']);
  expect(root.querySelector('.code-language')?.textContent).toBe('sh');
  expect(root.querySelector('li.task input')?.getAttribute('aria-label')).toBe('Done');
});
