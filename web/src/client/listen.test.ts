/** What `listen` does where a browser gives up, and where it would come back with less than was promised. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { listen, type Link } from './listen';

/** A stream whose other end is the test. */
class Stream extends EventTarget {
  static readonly CONNECTING = 0;
  static readonly CLOSED = 2;
  static all: Stream[] = [];
  readyState = Stream.CONNECTING;

  constructor(readonly url: string) {
    super();
    Stream.all.push(this);
  }

  static get last(): Stream {
    return Stream.all.at(-1)!;
  }

  send(type: string, data: object | string, lastEventId: string): void {
    const text = typeof data === 'string' ? data : JSON.stringify(data);
    this.dispatchEvent(new MessageEvent(type, { data: text, lastEventId }));
  }

  hello(stream = 'conversation/x', cursor = 'e-0'): void {
    this.send('hello', { stream, cursor }, '');
  }

  fail(readyState: number): void {
    this.readyState = readyState;
    this.dispatchEvent(new Event('error'));
  }

  close(): void {
    this.readyState = Stream.CLOSED;
  }
}

const TYPES = ['hello', 'ping', 'message'];
let links: Link[];
let heard: [string, boolean][];
let close: () => void;

function begin(isGone = async () => false): void {
  close = listen('/events', TYPES, {
    frame: (type, data, fresh) => type === 'message' && heard.push([data, fresh]),
    link: (link) => links.push(link),
    isGone,
  });
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('EventSource', Stream);
  [Stream.all, links, heard] = [[], [], []];
});

afterEach(() => {
  close();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test('who has seen an id is left to the browser, which comes back by itself', async () => {
  begin();
  Stream.last.hello();
  Stream.last.send('message', 'one', 'e-1');

  Stream.last.fail(Stream.CONNECTING);
  await vi.advanceTimersByTimeAsync(20_000);

  expect(Stream.all).toHaveLength(1);
  expect(links).toEqual(['open', 'lost']);
});

test('a stream that the browser has given up is opened again, after the last id', async () => {
  begin();
  Stream.last.hello();
  Stream.last.send('message', 'one', 'e-1');

  Stream.last.fail(Stream.CLOSED);
  await vi.advanceTimersByTimeAsync(20_000);

  expect(Stream.all.map(({ url }) => url)).toEqual(['/events', '/events?after=e-1']);
});

test('the waits between tries grow', async () => {
  begin();
  const counts = [];

  for (let second = 0; second < 60; second += 1) {
    if (Stream.last.readyState !== Stream.CLOSED) Stream.last.fail(Stream.CLOSED);
    await vi.advanceTimersByTimeAsync(1000);
    counts.push(Stream.all.length);
  }

  expect(counts.at(-1)).toBeGreaterThan(5);
  expect(counts.at(-1)).toBeLessThan(15);
});

test('a channel where nothing has been said yet is taken up where it began', async () => {
  begin();
  Stream.last.hello('broadcast', 'e-7');

  Stream.last.fail(Stream.CONNECTING); // the browser would come back without a cursor, and miss what is said meanwhile
  await vi.advanceTimersByTimeAsync(20_000);

  expect(Stream.last.url).toBe('/events?after=e-7');
});

test('where there is nothing to come back to nobody tries', async () => {
  begin(async () => true);

  Stream.last.fail(Stream.CLOSED);
  await vi.advanceTimersByTimeAsync(60_000);

  expect(Stream.all).toHaveLength(1);
  expect(links.at(-1)).toBe('gone');
});

test('silence is an end', async () => {
  begin();
  Stream.last.hello();

  await vi.advanceTimersByTimeAsync(41_000);

  expect(Stream.all).toHaveLength(2);
});

test('who is behind two pings running begins anew, and who has caught up in between does not', () => {
  begin();
  Stream.last.hello();
  Stream.last.send('message', 'one', 'e-1');
  const ping = (cursor: string) => Stream.last.send('ping', { cursor }, 'e-1');

  ping('e-2');
  ping('e-1');
  ping('e-2');
  expect(Stream.all).toHaveLength(1);
  ping('e-2');

  expect(Stream.all.map(({ url }) => url)).toEqual(['/events', '/events?after=e-1']);
});

test('what has no id of its own is told from what has', () => {
  begin();

  Stream.last.send('message', 'A new user joined!', '');
  Stream.last.send('message', 'A new user joined!', 'e-1');
  Stream.last.send('message', '2 new users joined!', 'e-1'); // a browser repeats the last id

  expect(heard).toEqual([
    ['A new user joined!', false],
    ['A new user joined!', true],
    ['2 new users joined!', false],
  ]);
});

test('after the end nothing is heard or opened', async () => {
  begin();
  close();

  Stream.last.fail(Stream.CLOSED);
  await vi.advanceTimersByTimeAsync(60_000);

  expect(Stream.all).toHaveLength(1);
  expect(links).toEqual([]);
});
