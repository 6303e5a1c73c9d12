/** A stream that stays: a native EventSource, opened anew where the browser gives up or has no position to come back with. */

export type Link = 'connecting' | 'open' | 'lost' | 'gone';

export interface Listener {
  /** One frame; `fresh` is whether it has an id of its own, so that it is in the log. */
  frame(type: string, data: string, fresh: boolean): void;
  link(link: Link): void;
  /** Asked where the server may have refused: whether there is nothing to come back to. */
  isGone?(): Promise<boolean>;
}

const SILENCE = 40_000; // two pings and some: whatever holds the connection open, nobody is there
const LONGEST_WAIT = 15_000;

/** Listen until the function that is returned is called. */
export function listen(url: string, types: readonly string[], listener: Listener): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let position = ''; // the cursor of what has been dealt with
  let lastId = ''; // the last id that the EventSource itself has seen; it would come back with this one
  let behind = 0;
  let failures = 0;
  let closed = false;

  function open(): void {
    shut();
    lastId = '';
    behind = 0;
    source = new EventSource(position ? `${url}?after=${encodeURIComponent(position)}` : url);
    for (const type of types) source.addEventListener(type, heard);
    source.addEventListener('error', failed);
    watch();
  }

  function heard(event: MessageEvent<string>): void {
    watch();
    const fresh = event.lastEventId !== lastId;
    if (fresh) position = lastId = event.lastEventId;
    if (event.type === 'hello') {
      failures = 0;
      listener.link('open');
      const hello = JSON.parse(event.data) as { stream: string; cursor: string };
      // A conversation begins with a snapshot, which has an id; the channel with nothing that has one.
      if (hello.stream === 'broadcast') position = hello.cursor;
    }
    if (event.type === 'ping') checkLag((JSON.parse(event.data) as { cursor: string }).cursor);
    listener.frame(event.type, event.data, fresh);
  }

  /** Who is behind two pings running has lost something on the way. */
  function checkLag(head: string): void {
    behind = head === position ? 0 : behind + 1;
    if (behind >= 2) open();
  }

  function failed(): void {
    if (closed) return;
    listener.link('lost');
    const comesBack = source?.readyState === EventSource.CONNECTING && lastId !== '';
    if (!comesBack) void later();
  }

  async function later(): Promise<void> {
    shut();
    failures += 1;
    const wait = Math.min(LONGEST_WAIT, 500 * 2 ** failures);
    if (await listener.isGone?.()) {
      if (!closed) listener.link('gone');
    } else if (!closed) {
      timer = setTimeout(open, wait * (0.5 + Math.random()));
    }
  }

  function watch(): void {
    clearTimeout(timer);
    timer = setTimeout(open, SILENCE);
  }

  function shut(): void {
    clearTimeout(timer);
    source?.close();
  }

  open();
  return () => {
    closed = true;
    shut();
  };
}
