/** Small things that a tab keeps over a reload, and shares with no other; where it may keep nothing, it works without. */

/** Return what is kept under a name, or null. */
export function recall(name: string): string | null {
  try {
    return sessionStorage.getItem(`tickertape.${name}`);
  } catch {
    return null;
  }
}

/** Keep a text under a name; null forgets it. */
export function keep(name: string, text: string | null): void {
  try {
    if (text === null) sessionStorage.removeItem(`tickertape.${name}`);
    else sessionStorage.setItem(`tickertape.${name}`, text);
  } catch {
    // Full, or forbidden: then it lasts as long as the page.
  }
}
