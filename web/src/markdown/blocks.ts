/**
 * A growing text as top-level blocks: those that are finished stay the same objects, and only the tail is read again.
 *
 * A block is finished when no further text can change it. That is judged on whole lines, since half a line says
 * nothing: `#` may begin a heading or the word `#tag`.
 */
import type { Links, Token } from 'marked';
import { heal } from './heal';
import { none, read } from './html';

export type Block = Token;

export interface Split {
  /** What is finished. */
  blocks: Block[];
  /** What is not, healed for show. */
  tail: Block[];
  /** Where the tail begins in `lines`. */
  at: number;
  /** How far whole lines have been looked at. */
  seen: number;
  /** The text with every line break a line feed. */
  lines: string;
  links: Links;
}

/** What an empty line ends for good: behind it a list, indented code and a definition may go on. */
const ENDED_BY_A_GAP = new Set(['paragraph', 'heading', 'table', 'hr', 'blockquote']);

/**
 * Split a text, going on from how an earlier one was split where it continues that.
 *
 * With `live` false the text is whole: everything is finished, and reads as if it had come at once. A link may be
 * defined after its use; so a text with definitions is then read from its beginning.
 */
export function split(text: string, live: boolean, before?: Split): Split {
  const lines = (live ? text.replace(/\r$/, '') : text).replace(/\r\n?/g, '\n');
  const old = before && lines.startsWith(before.lines) ? before : undefined;
  const links = Object.assign(none(), old?.links);
  const now = { blocks: old?.blocks ?? [], tail: [], at: old?.at ?? 0, seen: old?.seen ?? 0, lines, links };
  return live ? grow(now) : finish(now);
}

function finish(now: Split): Split {
  const rest = read(now.lines.slice(now.at), now.links);
  const defines = now.at > 0 && Object.keys(now.links).length > 0;
  return { ...now, blocks: defines ? read(now.lines) : [...now.blocks, ...rest], at: now.lines.length };
}

function grow(now: Split): Split {
  const end = now.lines.lastIndexOf('\n') + 1;
  if (end > now.seen) {
    now.seen = end;
    const found = finished(read(now.lines.slice(now.at, end), now.links));
    const raw = found.map((block) => block.raw).join('');
    if (now.lines.startsWith(raw, now.at)) {
      now.blocks = [...now.blocks, ...found];
      now.at += raw.length;
    }
  }
  now.tail = read(heal(now.lines.slice(now.at)), Object.assign(none(), now.links));
  return now;
}

function finished(tokens: Token[]): Token[] {
  let last = tokens.length - 1;
  const gap = tokens[last]?.type === 'space' && last > 0;
  if (gap) last -= 1;
  const token = tokens[last];
  const ends = token && (isClosed(token) || (gap && ENDED_BY_A_GAP.has(token.type)));
  return tokens.slice(0, ends ? last + 1 : last);
}

function isClosed({ type, raw }: Token): boolean {
  const fence = type === 'code' && /^ {0,3}(`{3,}|~{3,})/.exec(raw)?.[1];
  if (!fence) return false;
  const last = raw.trimEnd().split('\n').slice(1).at(-1)?.trim() ?? '';
  return last.startsWith(fence) && last === fence[0]?.repeat(last.length);
}
