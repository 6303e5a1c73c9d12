/**
 * A long list cut into blocks, each of which a browser passes over as a whole while it is out of sight: for rows that
 * stand alone it would look at every one of thousands, at every frame. Pure.
 */
export interface Block<T> {
  /** Which block it is, from one cut to the next. */
  key: number;
  rows: readonly T[];
}

const SIZE = 50;

/** Cut a list where it was cut before, as far as it is the same: so a change is one of a block, and leaves the others alone. */
export function blocksOf<T>(rows: readonly T[], before: readonly Block<T>[] = []): Block<T>[] {
  const home = new Map<T, number>();
  for (const block of before) for (const row of block.rows) home.set(row, block.key);
  const runs: Run<T>[] = [];
  for (const row of rows) {
    const key = home.get(row);
    const run = runs.at(-1);
    if (!run || (key !== undefined && run.key !== undefined && key !== run.key)) runs.push({ key, rows: [row] });
    else {
      run.key ??= key; // what is new at the top belongs to the block that it stands before
      run.rows.push(row);
    }
  }
  return keyed(runs.flatMap(split), before);
}

type Run<T> = { key: number | undefined; rows: T[] };

function split<T>({ key, rows }: Run<T>): Run<T>[] {
  if (rows.length <= 2 * SIZE) return [{ key, rows }];
  const count = Math.ceil(rows.length / SIZE);
  const size = Math.ceil(rows.length / count);
  return Array.from({ length: count }, (_, at) => ({
    key: at === 0 ? key : undefined,
    rows: rows.slice(at * size, (at + 1) * size),
  }));
}

/** Name each block once, and give back the very object that it was where nothing in it has changed. */
function keyed<T>(runs: Run<T>[], before: readonly Block<T>[]): Block<T>[] {
  const known = new Map(before.map((block) => [block.key, block]));
  let next = Math.max(-1, ...known.keys()) + 1;
  return runs.map(({ key, rows }) => {
    const was = known.get(key ?? -1);
    known.delete(key ?? -1); // a list in another order would name a block twice
    if (!was) return { key: next++, rows };
    return was.rows.length === rows.length && rows.every((row, at) => row === was.rows[at]) ? was : { key: was.key, rows };
  });
}
