/** A text cut where a search found something. Pure. */

export interface Piece {
  text: string;
  found: boolean;
}

/**
 * Cut a text at `[start, end)` ranges, in UTF-16 code units, which is what `slice` counts, too. What the server would
 * not send, a range that is empty, out of order or beyond the end, is passed over: the text is always shown whole.
 */
export function cut(text: string, ranges: readonly (readonly [number, number])[]): Piece[] {
  const pieces: Piece[] = [];
  let done = 0;
  for (const [start, end] of ranges) {
    if (!(start >= done && end > start && end <= text.length)) continue;
    if (start > done) pieces.push({ text: text.slice(done, start), found: false });
    pieces.push({ text: text.slice(start, end), found: true });
    done = end;
  }
  if (done < text.length) pieces.push({ text: text.slice(done), found: false });
  return pieces;
}
