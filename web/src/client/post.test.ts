import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { newKey, Refused, send } from './post';

const keys: (string | null)[] = [];

/** Answer each request in turn; null stands for a server that cannot be reached. */
function answers(...given: (Response | null)[]): void {
  vi.stubGlobal('fetch', async (_path: string, { headers }: RequestInit) => {
    keys.push(new Headers(headers).get('Idempotency-Key'));
    const answer = given.length > 1 ? given.shift() : given[0];
    if (!answer) throw new TypeError('no network');
    return answer.clone();
  });
}

async function patiently<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => null); // it is looked at below, when the clock has moved
  await vi.advanceTimersByTimeAsync(60_000);
  return promise;
}

beforeEach(() => {
  vi.useFakeTimers();
  keys.length = 0;
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test('a request that is lost or comes too early is repeated as the same one', async () => {
  answers(null, Response.json({ detail: 'The server is about to end.' }, { status: 503 }), Response.json({ a: 1 }));

  expect(await patiently(send('POST', '/x', {}))).toEqual({ a: 1 });
  expect(keys).toHaveLength(3);
  expect(new Set(keys).size).toBe(1);
});

test('an answer that is cut in its middle is asked for again, as the same request', async () => {
  const cut = new Response(
    new ReadableStream({
      pull(controller) {
        controller.enqueue(new TextEncoder().encode('{"a":'));
        controller.error(new TypeError('network error'));
      },
    }),
    { headers: { 'Content-Type': 'application/json' } },
  );
  const whole = Response.json({ a: 1 });
  vi.stubGlobal('fetch', async (_path: string, { headers }: RequestInit) => {
    keys.push(new Headers(headers).get('Idempotency-Key'));
    return keys.length === 1 ? cut : whole;
  });

  expect(await patiently(send('POST', '/x', {}))).toEqual({ a: 1 });
  expect(keys).toHaveLength(2);
  expect(new Set(keys).size).toBe(1);
});

test('a no is final, and told in the words of the server', async () => {
  answers(Response.json({ detail: 'A reply is running.' }, { status: 409 }));

  await expect(patiently(send('POST', '/x', {}))).rejects.toEqual(new Refused('A reply is running.', 409));
  expect(keys).toHaveLength(1);
});

test('an answer that is no problem has words, too', async () => {
  answers(new Response('<h1>Bad gateway</h1>', { status: 502 }));

  await expect(patiently(send('POST', '/x', {}))).rejects.toThrow('The server answered 502.');
});

test('what is not answered is given up and sent again as the same request, and not for ever', async () => {
  const [late, answered] = [vi.fn(), Response.json({ a: 1 })];
  vi.stubGlobal('fetch', (_path: string, { headers, signal }: RequestInit) => {
    keys.push(new Headers(headers).get('Idempotency-Key'));
    if (keys.length === 2) return Promise.resolve(answered);
    return new Promise((_, reject) => signal!.addEventListener('abort', () => (late(), reject(new DOMException('', 'AbortError')))));
  });

  expect(await patiently(send('POST', '/x', {}))).toEqual({ a: 1 });
  expect(late).toHaveBeenCalledOnce();
  expect(new Set(keys).size).toBe(1);
  const never = send('POST', '/x', {}).catch((error: Error) => error.message);
  await vi.advanceTimersByTimeAsync(100_000);
  expect(await never).toBe('The server cannot be reached.');
});

test('an answer that stops in its middle is given up, too', async () => {
  const half = (signal: AbortSignal) =>
    new Response(new ReadableStream({ start: (body) => signal.addEventListener('abort', () => body.error(new Error('aborted'))) }));
  vi.stubGlobal('fetch', (_path: string, { signal }: RequestInit) => {
    keys.push('');
    return Promise.resolve(keys.length === 1 ? half(signal!) : new Response('done'));
  });

  expect(await patiently(send('POST', '/x', {}))).toBe('done');
});

test('what is large has longer to arrive', async () => {
  vi.stubGlobal('fetch', (_path: string, { signal }: RequestInit) => {
    keys.push('');
    return new Promise((resolve, reject) => {
      signal!.addEventListener('abort', () => reject(new DOMException('', 'AbortError')));
      setTimeout(() => resolve(new Response('done')), 50_000);
    });
  });

  expect(await patiently(send('POST', '/x', { text: 'x'.repeat(1_000_000) }))).toBe('done');
  expect(keys).toHaveLength(1);
});

test('nobody waits for ever', async () => {
  answers(null);

  await expect(patiently(send('POST', '/x', {}))).rejects.toThrow('The server cannot be reached.');
  expect(keys).toHaveLength(5);
});

test('a plain answer is a text', async () => {
  answers(new Response('Message sent successfully!', { headers: { 'Content-Type': 'text/plain' } }));

  expect(await patiently(send('POST', '/x', {}))).toBe('Message sent successfully!');
});

test('keys are long and never the same', () => {
  const made = Array.from({ length: 100 }, newKey);

  expect(new Set(made).size).toBe(100);
  expect(made.every((key) => /^[0-9a-f]{32}$/.test(key))).toBe(true);
});
