/** A Markdown text that is still being written, made to look as it will: what is open is closed, half a sign held back. */
import remend, { type RemendOptions } from 'remend';

const MARKERS = String.raw`[ >]*(?:(?:[-*+]|\d{1,9}[.)]|#{1,6}) +)*`;
const MARKED = new RegExp(`^${MARKERS}`);
const FENCE = new RegExp(`^${MARKERS}(\`{3,}|~{3,})(.*)$`, 'gm');
/** Where a line begins that what was open before it cannot reach into. */
const BEGINS = /\n(?=[ >]*(?:[-*+] |\d{1,9}[.)] |#{1,6} |>|\|)|[ >]*\n)/g;
/** A last line of nothing but signs: one more may turn it into anything. */
const SIGNS = /(^|\n)[ >]*[-*+=_#>`~|\\]+$/;
/** Half an inline tag, what opens something that has not begun, half an escape, half a box of a task. */
const HALF = /<\/?[a-z]{0,5} ?\/?$|(?<=^|[\s(["'])[*_~`]+$|!\[$|\\$|^\[[ x]?\]?$/i;
/** Half an image, of which only the words will be shown. */
const IMAGE = /!\[([^[\]]*)(?:\](?:\([^()\s]*)?)?$/;
/** In a list that counts, the number of the next item. */
const NUMBER = /(?<=^[ >]*\d{1,9}[.)] [^]*)\n[ >]*\d{1,9}$/;
const ROW = /^ {0,3}\|/;
const LONGEST = 4000; // as `html.ts` has it
const DOLLAR = '\uE000'; // stands for it: to remend `$5 and *so` were mathematics

const CODE: RemendOptions = {
  bold: false,
  boldItalic: false,
  italic: false,
  links: false,
  images: false,
  strikethrough: false,
};
const WORDS: RemendOptions = { inlineCode: false, linkMode: 'text-only' };
const NEVER: RemendOptions = {
  comparisonOperators: false,
  htmlTags: false,
  katex: false,
  setextHeadings: false,
  singleTilde: false,
};

/** Close what is open at the end of a text. */
export function heal(text: string): string {
  const fence = openFence(text);
  if (fence) return text.includes('\n', fence.at) ? healFence(text, fence.signs) : text.slice(0, fence.at);
  const shown = text.trimEnd();
  let at = 0;
  for (const { index } of shown.matchAll(BEGINS)) at = index + 1;
  const run = shown.slice(at);
  if (run.length > LONGEST) return shown;
  if (ROW.test(run)) return healRow(shown.slice(0, at), run);
  const whole = run.replace(SIGNS, '').replace(NUMBER, '');
  const marks = MARKED.exec(whole)?.[0] ?? '';
  return shown.slice(0, at) + marks + healWords(whole.slice(marks.length));
}

/** Code first: what is open around it is closed behind it. */
function healWords(words: string): string {
  const text = words.replace(HALF, '').replace(IMAGE, '$1').replaceAll('$', DOLLAR);
  return remend(remend(text, { ...CODE, ...NEVER }), { ...WORDS, ...NEVER }).replaceAll(DOLLAR, '$');
}

/** The row of a table: a first one is a table at once, not a line of bars until the next one comes. */
function healRow(before: string, row: string): string {
  const rows = before.split('\n').slice(0, -1);
  const head = rows.at(-1) ?? '';
  const isFirst = !ROW.test(head);
  const isSecond = !isFirst && !ROW.test(rows.at(-2) ?? '');
  if (isSecond && /^[\s|:-]*$/.test(row)) return before.slice(0, -1 - head.length) + ruled(head);
  if (!/[^\s|]/.test(row)) return before;
  const healed = healWords(row);
  return before + (isFirst ? ruled(healed) : healed);
}

/** The head of a table, whole, and the rule below it. */
function ruled(head: string): string {
  const cells = head.trim().replace(/^\||(?<!\\)\|$/g, '').split(/(?<!\\)\|/);
  return `|${cells.join('|')} |\n|${'-|'.repeat(cells.length)}`;
}

/** Hold back what may be the beginning of a closing fence. */
const healFence = (text: string, fence: string) =>
  text.replace(/\n[ >]*(`+|~+)$/, (line, signs: string) => (fence.startsWith(signs) ? '' : line));

/** The fence that is open at the end, and where its line begins. */
function openFence(text: string): { at: number; signs: string } | undefined {
  let open: { at: number; signs: string } | undefined;
  for (const { index, 1: signs = '', 2: info = '' } of text.matchAll(FENCE)) {
    if (open) open = signs.startsWith(open.signs) && !info.trim() ? undefined : open;
    else if (!(signs.startsWith('`') && info.includes('`'))) open = { at: index, signs };
  }
  return open;
}
