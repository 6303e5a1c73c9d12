/** One request, sent until it is answered: a repeat carries the same key, so that nothing is done twice. */

const TRIES = 5;
const PAUSE = 1500;
/** So long an answer may take, in milliseconds; a connection that is dead without a word would be waited for without end. */
const PATIENCE = 30_000;
/** And so long that of a read, which may be large, and a millisecond more for so many bytes that are sent. */
const PATIENCE_TO_READ = 120_000;
const BYTES = 16;

/** The server's no, in its own words. */
export class Refused extends Error {
  /** `status` is 0 where no answer came; `path` names the field of the request that is wrong. */
  constructor(
    message: string,
    readonly status = 0,
    readonly path = '',
  ) {
    super(message);
  }
}

/** 128 random bits; `crypto.randomUUID` is missing where a page comes over plain HTTP from another machine. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Return the answer's body, as JSON where it is JSON. While the server cannot be reached, does not answer, or says that
 * it is about to end, the same request is sent again. Throws `Refused` with a sentence for people.
 */
export async function send(
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
  path: string,
  body?: object,
  key = newKey(),
  keepalive = false,
): Promise<unknown> {
  const headers = {
    ...(body && { 'Content-Type': 'application/json' }),
    ...(method === 'POST' && { 'Idempotency-Key': key }),
  };
  const request = { method, headers, keepalive, body: body ? JSON.stringify(body) : null };
  const patience = (method === 'GET' ? PATIENCE_TO_READ : PATIENCE) + (request.body?.length ?? 0) / BYTES;
  for (let tries = 1; ; tries += 1) {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), patience);
    let answer = await fetch(path, { ...request, signal: late.signal }).catch(() => null);
    try {
      if (answer?.ok) return await (answer.headers.get('Content-Type')?.includes('json') ? answer.json() : answer.text());
      if (answer && answer.status !== 503) throw await refusal(answer);
    } catch (error) {
      if (error instanceof Refused) throw error;
      answer = null; // cut in its middle: it was done, and the same request is told so again
    } finally {
      clearTimeout(timer);
    }
    if (late.signal.aborted) tries += 1; // it has taken long enough for two
    if (tries >= TRIES) throw answer ? await refusal(answer) : new Refused('The server cannot be reached.');
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

async function refusal(answer: Response): Promise<Refused> {
  const problem = (await answer.json().catch(() => null)) as { detail?: unknown; path?: unknown } | null;
  const detail = typeof problem?.detail === 'string' ? problem.detail : `The server answered ${answer.status}.`;
  return new Refused(detail, answer.status, typeof problem?.path === 'string' ? problem.path : '');
}
