/** Blocks of code: the button that copies one, and the colours that come when there is time. */

const LONGEST = 10_000; // a longer one would hold a frame,
const MOST = 100_000; // as would one with very many colours, which this counts by their HTML
const WORD_FOR = 2_000;
/** What `languages.ts` knows, by all its names; one that is not here loads nothing. */
export const NAMES = new Set(
  (
    'bash sh zsh shell console c h cpp c++ cc hpp cxx csharp cs c# css diff patch dockerfile docker go golang ini toml java ' +
    'javascript js jsx mjs cjs json jsonc json5 kotlin kt kts lua makefile mk make markdown md php powershell pwsh ps1 ' +
    'python py gyp r ruby rb rust rs sql swift typescript ts tsx mts cts xml html xhtml rss svg plist yaml yml'
  ).split(' '),
);
const soon: (run: () => void) => void = globalThis.requestIdleCallback ?? ((run) => setTimeout(run, 50));

/** Copy the code whose button was pressed. */
export function copy({ target }: Event): void {
  const button = target instanceof Element ? target.closest('button.copy') : null;
  const code = button?.closest('.code')?.querySelector('code');
  const word = button?.parentElement?.querySelector('.code-word');
  if (!code || !word) return;
  void toClipboard(code).then((copied) => {
    word.textContent = copied ? 'Copied' : 'Selected: copy it with the keyboard';
    setTimeout(() => (word.textContent = ''), WORD_FOR);
  });
}

/** Where there is no clipboard (a page that came by plain HTTP), the code is selected and copied as by hand. */
async function toClipboard(code: Element): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(code.textContent ?? '');
    return true;
  } catch {
    getSelection()?.selectAllChildren(code);
    return document.execCommand('copy');
  }
}

/** Colour the code in an element that is finished, when there is time for it. */
export function highlight(element: Element): void {
  for (const code of element.matches('.code') ? element.querySelectorAll('code') : element.querySelectorAll('.code code')) {
    const name = [...code.classList].find((one) => one.startsWith('language-')) ?? ''; // it may hold the caret, too
    const language = name.slice('language-'.length).toLowerCase();
    if (NAMES.has(language) && (code.textContent ?? '').length <= LONGEST) soon(() => void paintWith(code, language));
  }
}

async function paintWith(code: Element, language: string): Promise<void> {
  const languages = await import('./languages').catch(() => null); // then it has one colour
  soon(() => {
    const text = code.textContent ?? '';
    const html = code.isConnected ? languages?.paint(text, language) : undefined;
    if (languages && html && html.length < MOST) soon(() => put(code, languages.nodesOf(html), text)); // each of the two takes its time
  });
}

/** Put the colours in, but not under a selection, which would be lost: when there is none any more. */
function put(code: Element, coloured: DocumentFragment, text: string): void {
  if (!code.isConnected || code.textContent !== text || coloured.textContent !== text) return;
  const selection = getSelection();
  if (selection && !selection.isCollapsed && selection.getRangeAt(0).intersectsNode(code)) {
    document.addEventListener('selectionchange', () => put(code, coloured, text), { once: true });
  } else code.replaceChildren(coloured);
}
