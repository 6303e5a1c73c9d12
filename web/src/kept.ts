/** Small things that this browser keeps for the page; where it may keep nothing, the page works without. */

/** Return what is kept under a name, or null. */
export function recall(name: string): string | null {
  try {
    return localStorage.getItem(`tickertape.${name}`);
  } catch {
    return null;
  }
}

/** Keep a text under a name; null forgets it. Answers whether it is kept. */
export function keep(name: string, text: string | null): boolean {
  try {
    if (text === null) localStorage.removeItem(`tickertape.${name}`);
    else localStorage.setItem(`tickertape.${name}`, text);
    return true;
  } catch {
    return false;
  }
}
