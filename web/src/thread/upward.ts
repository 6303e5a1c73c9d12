/** What people do to scroll up, noticed before anything has moved: a key, a wheel, a finger. */

const KEYS = ['ArrowUp', 'PageUp', 'Home'];
const SLIP = 8; // pixels: what a finger moves that only presses

/** Call `hear` whenever `log` is about to be scrolled up, until the function that is returned is called. */
export function onUpward(log: HTMLElement, hear: () => void): () => void {
  let first: Touch | undefined;
  const isElsewhere = ({ target }: Event) => target instanceof Element && target.matches('input, select, textarea');
  const keydown = (event: KeyboardEvent) => {
    const isSpace = event.key === ' ' && event.shiftKey && event.target === log;
    if (isSpace || (KEYS.includes(event.key) && !isElsewhere(event))) hear();
  };
  const wheel = (event: WheelEvent) => {
    if (event.deltaY < 0 && !event.ctrlKey && !isElsewhere(event)) hear();
  };
  const touchstart = ({ touches }: TouchEvent) => (first = touches[0]);
  const touchmove = (event: TouchEvent) => {
    const [last] = event.touches;
    if (!first || !last || isElsewhere(event)) return;
    const [right, down] = [last.clientX - first.clientX, last.clientY - first.clientY];
    if (down > Math.max(SLIP, Math.abs(right))) hear();
  };
  const end = new AbortController();
  const options = { passive: true, signal: end.signal };
  log.addEventListener('keydown', keydown, options);
  log.addEventListener('wheel', wheel, options);
  log.addEventListener('touchstart', touchstart, options);
  log.addEventListener('touchmove', touchmove, options);
  return () => end.abort();
}
