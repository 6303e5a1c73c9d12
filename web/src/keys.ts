/** What can be done from anywhere on the page with the keyboard alone. */

export type Command = 'begin' | 'search' | 'write' | 'stop' | 'help';

/** For people; what `pressed` finds. */
export const SHORTCUTS: readonly (readonly [keys: string, what: string])[] = [
  ['Enter', 'Send'],
  ['Shift Enter', 'A new line'],
  ['Escape', 'Stop the reply'],
  ['Ctrl Shift O', 'New chat'],
  ['Ctrl K', 'Search conversations'],
  ['/', 'Write a message'],
  ['?', 'These shortcuts'],
];

/** Return the command that a key press asks for, if it is one and nothing that is open wants the key for itself. */
export function pressed(event: KeyboardEvent): Command | null {
  if (event.defaultPrevented || event.isComposing || event.altKey) return null;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (key === 'k' && !event.shiftKey) return 'search';
    return key === 'o' && event.shiftKey ? 'begin' : null;
  }
  if (key === 'escape') return document.querySelector(':popover-open, dialog[open]') || isElsewhere(event.target) ? null : 'stop';
  if (isField(event.target)) return null;
  return key === '/' ? 'write' : key === '?' ? 'help' : null;
}

/** Who leaves a search or a line to everybody with Escape means that, not the reply. */
const isElsewhere = (target: EventTarget | null) =>
  isField(target) && !(target as HTMLElement).matches('[aria-label="Message"]');

const isField = (target: EventTarget | null) =>
  target instanceof HTMLElement && (target.isContentEditable || target.matches('input, textarea, select'));
