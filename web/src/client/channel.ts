/** What the broadcast channel's frames add up to: what was said, and who joined. Pure. */

export interface Line {
  number: number;
  text: string;
  /** Join notices are not in the log, so they have no id of their own. */
  notice: boolean;
}

export interface ChannelState {
  lines: readonly Line[];
}

export interface ChannelFrame {
  type: 'message';
  text: string;
  notice: boolean;
}

export const QUIET: ChannelState = { lines: [] };
const KEPT = 200;

/** Add a line; the oldest go where there are many. */
export function reduceChannel({ lines }: ChannelState, frame: ChannelFrame | { type: string }): ChannelState {
  if (!isLine(frame)) return { lines };
  const { text, notice } = frame;
  return { lines: [...lines.slice(1 - KEPT), { number: (lines.at(-1)?.number ?? 0) + 1, text, notice }] };
}

const isLine = (frame: { type: string }): frame is ChannelFrame => frame.type === 'message';
