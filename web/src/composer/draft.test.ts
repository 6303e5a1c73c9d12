import { expect, test, vi } from 'vitest';
import { Refused } from '../client/post';
import { Draft, draftOf } from './draft.svelte';

/** A server with a control: what it says next. */
function server(...answers: (Error | null)[]) {
  const asked: [text: string, key: string, hows: object[]][] = [];
  const post = async (text: string, key: string, hows: object[]) => {
    asked.push([text, key, hows]);
    const answer = answers.shift();
    if (answer) throw answer;
  };
  return { asked, post };
}

function written(text: string): Draft {
  const draft = new Draft();
  draft.text = text;
  return draft;
}

test('what has been sent is taken away', async () => {
  const { asked, post } = server();
  const draft = written('hello');

  await draft.send(post, [{ responder: 'echo' }]);

  expect(draft.text).toBe('');
  expect(asked).toEqual([['hello', expect.any(String), [{ responder: 'echo' }]]]);
});

test('what was written on behind it while it was sent stays', async () => {
  const draft = written('hello');

  await draft.send(async () => {
    draft.text = 'hello\nand more';
  });

  expect(draft.text).toBe('and more');
});

test('what was written behind a first message goes on in the conversation that it began', async () => {
  const draft = new Draft('');
  draft.text = 'hello';

  await draft.send(() => {
    draft.text = 'hello\nand more';
    return Promise.resolve('c7');
  });

  expect([draft.text, draftOf('c7').text]).toEqual(['', 'and more']);
});

test('instructions that are written while another text is sent stay', async () => {
  const draft = written('hello');
  draft.system = 'Be brief.';

  await draft.send(async () => {
    draft.system = 'Be brief, and kind.';
  });
  expect(draft.system).toBe('Be brief, and kind.');
  draft.text = 'again';
  await draft.send(async () => {});

  expect(draft.system).toBe('');
});

test('what goes wrong in a way that nobody knows is tried again as the same request', async () => {
  const { asked, post } = server(new TypeError('network error'));
  const draft = written('hello');

  await draft.send(post);
  expect(draft.again).toBe(true);
  await draft.send(post);

  expect(asked[1]?.[1]).toBe(asked[0]?.[1]);
});

test('what could not be sent stays, and trying again is the same request', async () => {
  const { asked, post } = server(new Refused('Too much is running.', 429));
  const draft = written('hello');

  await draft.send(post, [{}]);
  expect([draft.text, draft.trouble, draft.again]).toEqual(['hello', 'Not sent: Too much is running.', true]);
  await draft.sendAgain(post);

  expect(asked[1]).toEqual(asked[0]);
  expect([draft.text, draft.trouble]).toEqual(['', '']);
});

test('the same text to somebody else is another request', async () => {
  const { asked, post } = server(new Refused('The server cannot be reached.'));
  const draft = written('hello');

  await draft.send(post, [{ responder: 'one' }]);
  await draft.send(post, [{ responder: 'two' }]);

  expect(asked[1]?.[1]).not.toBe(asked[0]?.[1]);
});

test('what is refused for good is not tried again as it is', async () => {
  const draft = written('hello');

  await draft.send(server(new Refused('Expected `int`.', 422, 'options.tokens')).post);

  expect([draft.again, draft.path]).toEqual([false, 'options.tokens']);
});

test('a changed text is not what failed', async () => {
  const draft = written('hello');
  await draft.send(server(new Refused('The server cannot be reached.')).post);

  draft.text = 'hello, you';

  expect(draft.again).toBe(false);
});

test('what a full storage does not take is not replaced by what it has', async () => {
  const entries = new Map<string, string>();
  const setItem = vi.fn((name: string, text: string) => void entries.set(name, text));
  const getItem = (name: string) => entries.get(name) ?? null;
  const key = (place: number) => [...entries.keys()][place] ?? null;
  vi.stubGlobal('localStorage', { getItem, setItem, key, removeItem: (name: string) => entries.delete(name), length: 0 });
  vi.resetModules();
  const { draftOf } = await import('./draft.svelte');
  const draft = draftOf('c');
  const leave = draft.show(async () => {});
  draft.text = 'kept';
  setItem.mockImplementation(() => {
    throw new Error('QuotaExceededError');
  });

  draft.text = 'kept, and not kept';
  leave();
  draftOf('c').show(async () => {})();

  expect(entries.size).toBe(1);
  expect(draft.text).toBe('kept, and not kept');
  vi.unstubAllGlobals();
});
