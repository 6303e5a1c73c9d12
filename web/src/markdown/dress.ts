/** What the page itself adds to cleaned nodes: how links open, what scrolls, and the head of a block of code. */

/** Add it, in place. */
export function dress(fragment: DocumentFragment): DocumentFragment {
  for (const element of fragment.querySelectorAll('p, ul, ol, blockquote, table, h3, h4, h5, h6')) element.setAttribute('dir', 'auto');
  for (const link of fragment.querySelectorAll('a')) {
    link.target = '_blank';
    link.rel = 'noopener noreferrer nofollow';
  }
  for (const box of fragment.querySelectorAll('input')) {
    box.disabled = true;
    box.setAttribute('aria-label', box.checked ? 'Done' : 'To do');
    box.closest('li')?.classList.add('task');
  }
  for (const table of fragment.querySelectorAll('table')) wrap(table, scrolling('div', 'Table'));
  for (const pre of fragment.querySelectorAll('pre')) dressCode(pre);
  return fragment;
}

function dressCode(pre: HTMLElement): void {
  const language = /language-(\S+)/.exec(pre.firstElementChild?.className ?? '')?.[1] ?? '';
  const head = element('div', 'code-head');
  const label = element('span', 'code-language');
  label.textContent = language;
  const word = element('span', 'code-word');
  word.setAttribute('aria-live', 'polite');
  const button = element('button', 'quiet copy');
  button.setAttribute('type', 'button');
  button.setAttribute('aria-label', 'Copy code');
  button.textContent = 'Copy';
  head.append(label, word, button);
  pre.tabIndex = 0;
  pre.setAttribute('role', 'group');
  pre.setAttribute('aria-label', language ? `Code: ${language}` : 'Code');
  wrap(pre, element('div', 'code'));
  pre.before(head);
}

/** Something with a name that the keyboard can scroll. */
function scrolling(tag: string, name: string): HTMLElement {
  const box = element(tag, 'scrolls');
  box.tabIndex = 0;
  box.setAttribute('role', 'group');
  box.setAttribute('aria-label', name);
  return box;
}

function wrap(inner: HTMLElement, outer: HTMLElement): void {
  inner.replaceWith(outer);
  outer.append(inner);
}

function element(tag: string, classes: string): HTMLElement {
  const made = document.createElement(tag);
  made.className = classes;
  return made;
}
