/** This tab among the others: a name that a reload keeps, and which drafts the others show. */
import { newKey } from '../client/post';

const NAME = 'tickertape.tab';

/** Return this tab's name. */
export function nameTab(): string {
  try {
    const name = sessionStorage.getItem(NAME) || newKey().slice(0, 12);
    // While the page lives its name is put away: a duplicated tab gets a copy of what is there, and must not share it.
    sessionStorage.removeItem(NAME);
    addEventListener('pagehide', () => sessionStorage.setItem(NAME, name));
    addEventListener('pageshow', () => sessionStorage.removeItem(NAME));
    return name;
  } catch {
    return newKey().slice(0, 12);
  }
}

/** Say to the other tabs that a draft is shown here, until the function that is returned is called. */
export function showing(name: string): () => void {
  let release = () => {};
  const until = new Promise<void>((resolve) => (release = resolve));
  void navigator.locks?.request(name, { mode: 'shared' }, () => until).catch(() => null);
  return release;
}

/** Return the names of the drafts that are shown, in any tab; where tabs cannot tell, none. */
export async function shown(): Promise<ReadonlySet<string>> {
  const locks = await navigator.locks?.query().catch(() => null);
  return new Set(locks?.held?.map(({ name }) => name ?? ''));
}
