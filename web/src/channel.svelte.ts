/** The broadcast channel: what was said and who joined, since the page was opened. */
import { listen, type Link } from './listen';
import { post } from './post';

export interface Line {
  number: number;
  text: string;
  /** Join notices are not in the log, so they have no id of their own. */
  notice: boolean;
}

const KEPT = 200;

/** Add a line; the oldest go where there are many. */
export function heard(lines: readonly Line[], text: string, notice: boolean): Line[] {
  return [...lines.slice(1 - KEPT), { number: (lines.at(-1)?.number ?? 0) + 1, text, notice }];
}

export class Channel {
  lines = $state.raw<Line[]>([]);
  link = $state<Link>('connecting');

  /** Listen until the function that is returned is called. */
  open(): () => void {
    return listen('/events', ['hello', 'ping', 'bye', 'message'], {
      frame: (type, data, fresh) => {
        if (type === 'message') this.lines = heard(this.lines, data, !fresh);
      },
      link: (link) => (this.link = link),
    });
  }

  async say(message: string, key: string): Promise<void> {
    await post('/send-message', { message }, key);
  }
}
