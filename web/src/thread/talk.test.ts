import { beforeEach, expect, test, vi } from 'vitest';
import type { Hear } from '../client/client';
import type { Frame, Message, Outline, Reply } from '../client/protocol';
import { EMPTY, reduce, type Filled, type State } from '../client/reduce';

type Call = [name: string, ...given: unknown[]];
const calls: Call[] = [];
const pages = new Map<string | null, { messages: Message[]; next: string | null }>();
let answer: (name: string) => unknown = () => ({});
let hear: Hear<'conversation/c'> = () => {};
let state: State = EMPTY;

vi.mock('../client/client', () => ({
  client: {
    follow: (_: string, heard: typeof hear) => {
      hear = heard;
      hear(state, null);
      return () => (hear = () => {});
    },
    fill: (_: string, messages: Message[]) => tell({ type: 'filled', messages }),
  },
}));
vi.mock('../client/calls', () => {
  const call = (name: string) => (...given: unknown[]) => {
    calls.push([name, ...given]);
    return Promise.resolve(answer(name));
  };
  const readMessages = async (_: string, before: string | null) => {
    calls.push(['read', before]);
    return pages.get(before) ?? Promise.reject(new Error('no answer'));
  };
  return { ask: call('ask'), stop: call('stop'), retry: call('retry'), readMessages };
});

const { Talk } = await import('./talk.svelte');

function tell(frame: Frame | Filled): void {
  state = reduce(state, frame);
  hear(state, frame as Frame);
}

const question = (id: string, parent: string | null, text = id): Message => ({
  ...{ id, parent, text, role: 'user', status: 'completed', created_at: '' },
  parts: [{ type: 'text', text }],
});
const reply = (id: string, parent: string, more: Partial<Reply> = {}): Reply => ({
  ...{ id, parent, text: id, role: 'assistant', status: 'completed', created_at: '', parts: [], responder: 'mock' },
  ...{ started_at: null, first_token_at: null, ended_at: '', finish_reason: 'stop', usage: null, error: null },
  ...more,
});
const outline = ({ id, parent, role, status }: Message): Outline => ({ id, parent, role, status });
const snapshot = (...messages: (Message | Outline)[]): Frame => ({
  type: 'snapshot',
  conversation: { id: 'c', title: '', head: messages.at(-1)?.id ?? null, running: [], created_at: '', updated_at: '' },
  messages,
  cursor: '',
});
const ids = (messages: readonly { id: string }[]) => messages.map(({ id }) => id).join(' ');
const settled = () => vi.waitFor(() => expect(talk.reading).toBe(false), 60_000);

const kept = new Map<string, string>();
let talk: InstanceType<typeof Talk>;

beforeEach(() => {
  vi.stubGlobal('sessionStorage', {
    getItem: (name: string) => kept.get(name) ?? null,
    setItem: (name: string, text: string) => kept.set(name, text),
    removeItem: (name: string) => kept.delete(name),
  });
  calls.length = 0;
  kept.clear();
  pages.clear();
  answer = () => ({});
  state = EMPTY;
  talk = new Talk();
  talk.open('c');
});

const TWO = [question('q1', null), reply('r1', 'q1'), question('q2', null), reply('r2', 'q2')];

test('who has chosen nothing follows the head', () => {
  tell(snapshot(...TWO));
  expect(ids(talk.shown)).toBe('q2 r2');

  tell({ type: 'message.created', message: question('q3', 'r1') });

  expect(ids(talk.shown)).toBe('q1 r1 q3');
});

test('a version that was chosen stays, grows, and is there after a reload', async () => {
  tell(snapshot(...TWO));

  await talk.choose('q1');
  tell({ type: 'message.created', message: question('q3', 'r1') });
  tell({ type: 'message.created', message: question('q4', 'r2') });

  expect(ids(talk.shown)).toBe('q1 r1 q3');
  const reloaded = new Talk();
  reloaded.open('c');
  expect(ids(reloaded.shown)).toBe('q1 r1 q3');
});

const MORE = [...TWO, question('q3', 'r2'), reply('r3', 'q3')];

test('a chosen branch is read before it is shown', async () => {
  tell(snapshot(...MORE.slice(0, 2).map(outline), ...MORE.slice(2)));
  pages.set(null, { messages: MORE.slice(2), next: 'a' });
  pages.set('a', { messages: MORE.slice(0, 2), next: null });

  const chosen = talk.choose('q1');
  expect(ids(talk.shown)).toBe('q2 r2 q3 r3');
  await chosen;

  expect(ids(talk.shown)).toBe('q1 r1');
});

test('a branch that cannot be read is not shown', async () => {
  tell(snapshot(...MORE.slice(0, 2).map(outline), ...MORE.slice(2)));

  await expect(talk.choose('q1')).rejects.toThrow('no answer');

  expect(ids(talk.shown)).toBe('q2 r2 q3 r3');
});

const LONG = [question('q1', null), reply('r1', 'q1'), question('q2', 'r1'), reply('r2', 'q2'), question('q3', 'r2')];

test('earlier messages come page by page, and what fails can be tried again', async () => {
  tell(snapshot(...LONG.slice(0, 4).map(outline), ...LONG.slice(4)));
  expect([ids(talk.shown), talk.more]).toEqual(['q3', true]);

  await talk.earlier();
  expect(talk.trouble).toBe('no answer');
  pages.set(null, { messages: LONG.slice(3), next: 'a' });
  pages.set('a', { messages: LONG.slice(0, 3), next: null });
  await talk.earlier();

  expect([ids(talk.shown), talk.more, talk.trouble]).toEqual(['r2 q3', true, '']);
  await talk.earlier();
  expect([ids(talk.shown), talk.more]).toEqual(['q1 r1 q2 r2 q3', false]);
});

test('what was found is reached: pages are read as far as it, and its branch is shown where it is on another', async () => {
  tell(snapshot(...LONG.slice(0, 4).map(outline), ...LONG.slice(4)));
  pages.set(null, { messages: LONG.slice(2), next: 'a' });
  pages.set('a', { messages: LONG.slice(0, 2), next: null });

  await talk.reach('nobody');
  expect([talk.more, calls.length]).toEqual([true, 0]);
  await talk.reach('r2');
  expect([ids(talk.shown), talk.chosen]).toEqual(['q2 r2 q3', null]);
  await talk.reach('q1');
  expect([ids(talk.shown), talk.chosen]).toEqual(['q1 r1 q2 r2 q3', null]);

  tell(snapshot(...MORE.slice(0, 2).map(outline), ...MORE.slice(2)));
  pages.set(null, { messages: MORE, next: null });
  await talk.reach('r1');
  expect(ids(talk.shown)).toBe('q1 r1');
});

test('a snapshot in the middle takes nothing away that had been read', async () => {
  tell(snapshot(...LONG.slice(0, 4).map(outline), ...LONG.slice(4)));
  pages.set(null, { messages: LONG, next: null });
  await talk.fill();

  tell(snapshot(...LONG.map(outline), question('q4', 'q3')));

  expect(ids(talk.shown)).toBe('q1 r1 q2 r2 q3 q4');
});

test('an edit is asked beside the question, of who answered it, and shown when the stream brings it', async () => {
  tell(snapshot(question('q0', null), reply('r0', 'q0'), question('q1', 'r0'), reply('r1', 'q1', { responder: 'echo' })));
  answer = () => ({ message: question('q2', 'r0') });

  await talk.edit(question('q1', 'r0'), 'anew', 'key');
  expect(calls).toEqual([['ask', 'c', { prompt: 'anew', parent: 'r0', responder: 'echo' }, 'key']]);
  expect(ids(talk.shown)).toBe('q0 r0 q1 r1');
  tell({ type: 'message.created', message: question('q2', 'r0') });
  tell({ type: 'message.created', message: question('q3', 'r1') });

  expect(ids(talk.shown)).toBe('q0 r0 q2');
});

test('what is asked on a branch that was chosen is shown', async () => {
  tell(snapshot(...TWO));
  await talk.choose('r1');
  answer = () => ({ conversation: { id: 'c' }, message: question('q3', 'r1') });

  await talk.ask('q3', 'key', { parent: 'r1' });
  tell({ type: 'message.created', message: question('q3', 'r1') });

  expect(talk.chosen).toBe('q3');
  expect(ids(talk.shown)).toBe('q1 r1 q3');
});

test('a retry is shown, and one of a comparison leaves it side by side', async () => {
  const pair = [question('q1', null, '?'), reply('r1', 'q1'), question('q2', null, '?'), reply('r2', 'q2', { responder: 'echo' })];
  tell(snapshot(...pair));
  expect(talk.pair && ids(talk.pair.replies)).toBe('r1 r2');
  answer = () => ({ reply: reply('r3', 'q1') });

  await talk.retry(reply('r1', 'q1'));
  tell({ type: 'reply.created', reply: reply('r3', 'q1', { status: 'running' }) });

  expect(talk.pair && ids(talk.pair.replies)).toBe('r3 r2');
  expect(ids(talk.live)).toBe('r3');
});

test('a comparison is two prompts with one parent and keys that a repeat has again', async () => {
  talk.open('');
  answer = () => ({ conversation: { id: 'c' }, message: question('q1', 'system') });

  expect(await talk.compare('?', [{ responder: 'mock' }, { responder: 'echo', options: { a: 1 } }], 'key')).toBe('c');

  expect(calls).toEqual([
    ['ask', '', { prompt: '?', responder: 'mock' }, 'key-1'],
    ['ask', 'c', { prompt: '?', parent: 'system', responder: 'echo', options: { a: 1 } }, 'key-2'],
  ]);
});

test('one of a comparison that is refused for good does not make the other one be asked again', async () => {
  talk.open('');
  let count = 0;
  answer = () => {
    count += 1;
    if (count > 1) throw Object.assign(new Error('No such option.'), { status: 422 });
    return { conversation: { id: 'c' }, message: question('q1', null) };
  };

  expect(await talk.compare('?', [{ responder: 'mock' }, { responder: 'echo' }], 'key')).toBe('c');

  expect(talk.unasked).toEqual({ id: 'c', why: 'echo was not asked: No such option.' });
});

test('one of a comparison that could not be asked now is asked again with the same keys', async () => {
  talk.open('');
  answer = () => {
    if (calls.at(-1)?.[3] === 'key-2') throw Object.assign(new Error('Too many replies run.'), { status: 429 });
    return { conversation: { id: 'c' }, message: question('q1', null) };
  };

  await expect(talk.compare('?', [{}, {}], 'key')).rejects.toThrow('Too many replies run.');
});

test('what is compared is read, counts as one version, and stops together', async () => {
  const live = { status: 'running' } as const;
  const pair = [question('q1', null, '?'), reply('r1', 'q1', live), question('q2', null, '?'), reply('r2', 'q2', { ...live, responder: 'echo' })];
  pages.set(null, { messages: pair, next: null });
  tell(snapshot(outline(pair[0]!), ...pair.slice(1)));
  await settled();

  expect(talk.pair && ids(talk.pair.replies)).toBe('r1 r2');
  expect(talk.versions(talk.pair!.question, talk.pair!).ids).toEqual(['q2']);
  await talk.stop();
  expect(calls.filter(([name]) => name === 'stop')).toEqual([['stop', 'c', 'r1'], ['stop', 'c', 'r2']]);
});

test('stop leaves a prompt alone that waits for the reply before it', async () => {
  tell(snapshot(question('q1', null), reply('r1', 'q1', { status: 'running' })));
  tell({ type: 'message.created', message: question('q2', 'r1') });
  tell({ type: 'reply.created', reply: reply('r2', 'q2', { status: 'accepted' }) });

  await talk.stop();

  expect(ids(talk.live)).toBe('r1 r2');
  expect(calls).toEqual([['stop', 'c', 'r1']]);
});

test('a piece of a reply leaves all that is shown as it is, but for that reply', async () => {
  tell(snapshot(question('q1', null), reply('r1', 'q1'), question('q2', 'r1'), reply('r2', 'q2', { status: 'running', text: '' })));
  talk.open('c');
  const { shown, tree } = talk;
  const growing = talk.running!;

  tell({ type: 'reply.delta', reply_id: 'r2', part: 0, text: 'more' });

  expect(talk.tree).toBe(tree);
  expect(talk.shown.filter((message) => !shown.includes(message))).toEqual([]);
  expect(talk.now(growing).text).toBe('more');
  tell({ type: 'reply.ended', reply_id: 'r2', status: 'completed', text: 'more', text_sha256: '', finish_reason: 'stop', usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 }, at: '' });
  expect(talk.shown.at(-1)).toMatchObject({ status: 'completed', text: 'more' });
  await settled();
});
