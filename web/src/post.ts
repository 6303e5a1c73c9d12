/** POST, once: a repeat carries the same key, so that nothing is done twice. */

const TRIES = 5;
const PAUSE = 1500;

/** The server's no, in its own words. */
export class Refused extends Error {}

/** 128 random bits; `crypto.randomUUID` is missing where a page comes over plain HTTP from another machine. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Return the answer's body, as JSON where it is JSON. While the server cannot be reached, or says that it is about to
 * end, the same request is sent again. Throws `Refused` with a sentence for people.
 */
export async function post(path: string, body: object, key = newKey()): Promise<unknown> {
  const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': key };
  for (let tries = 1; ; tries += 1) {
    const answer = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) }).catch(() => null);
    if (answer?.ok) return answer.headers.get('Content-Type')?.includes('json') ? answer.json() : answer.text();
    if (answer && answer.status !== 503) throw new Refused(await reason(answer));
    if (tries === TRIES) throw new Refused(answer ? await reason(answer) : 'The server cannot be reached.');
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

async function reason(answer: Response): Promise<string> {
  const problem = (await answer.json().catch(() => null)) as { detail?: unknown } | null;
  return typeof problem?.detail === 'string' ? problem.detail : `The server answered ${answer.status}.`;
}
