/** Light, dark, or as the system has it; remembered in this browser. */
import { keep, recall } from './kept';

export type Theme = 'system' | 'light' | 'dark';
export const THEMES: readonly Theme[] = ['system', 'light', 'dark'];

/** Return what was chosen. */
export const chosen = (): Theme => THEMES.find((theme) => theme === recall('theme')) ?? 'system';

/** Show a theme, in this tab and in the others. */
export function choose(theme: Theme): void {
  keep('theme', theme);
  show(theme);
}

/** Show what was chosen, here or in another tab. */
export function follow(): void {
  show(chosen());
  addEventListener('storage', () => show(chosen()));
}

function show(theme: Theme): void {
  document.documentElement.dataset['theme'] = theme;
}
