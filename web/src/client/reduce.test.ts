/** The shared vectors, which the server's tests run too: see tests/vectors/README.md. */
import { describe, expect, test } from 'vitest';
import type { Conversation, Frame, LogEvent, Message, Outline, Reply } from './protocol';
import { branch, EMPTY, reduce, type State } from './reduce';

interface Scene {
  before: { conversation: Conversation; messages: Message[] };
  steps: { id: string; event: LogEvent; messages?: Message[] }[];
  after: { deleted: boolean; conversation: Conversation; messages: Message[] };
}

const files = import.meta.glob<unknown>('../../../tests/vectors/*.json', { eager: true, import: 'default' });
const name = (path: string) => path.replace(/.*\/|\.json$/g, '');
const scenes = Object.entries(files)
  .filter(([path]) => !['broadcast', 'control'].includes(name(path)))
  .map(([path, scene]) => [name(path), scene as Scene] as const);

/** A state that nobody can change in place. */
function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(frozen);
  return value;
}

const begin = ({ before }: Scene): State => frozen({ ...before, deleted: false });

test('there are scenes', () => {
  expect(scenes.length).toBeGreaterThanOrEqual(20);
});

describe.each(scenes)('%s', (_, scene) => {
  test('the events add up to the messages', () => {
    let state = begin(scene);

    for (const { event, messages } of scene.steps) {
      state = frozen(reduce(state, event));
      if (messages) expect(state.messages).toEqual(messages);
    }

    expect(state).toEqual(scene.after);
  });

  test('a snapshot may come in between, whatever was held before', () => {
    for (let cut = 0; cut < scene.steps.length; cut += 1) {
      const middle = scene.steps.slice(0, cut).reduce((state, { event }) => reduce(state, event), begin(scene));
      const snapshot = { type: 'snapshot', cursor: '', ...middle, conversation: middle.conversation! } as const;
      const taken = reduce(EMPTY, { ...snapshot, messages: [...middle.messages] });

      const state = scene.steps.slice(cut).reduce((state, { event }) => reduce(state, event), taken);

      expect(state).toEqual(scene.after);
    }
  });
});

test('of the control frames only a snapshot changes what is shown', () => {
  const { steps } = files['../../../tests/vectors/control.json'] as { steps: { data: Frame }[] };
  const state = begin(scenes[0]![1]);

  for (const { data } of steps) {
    const next = reduce(state, data);
    if (data.type === 'snapshot') expect(next.messages).toEqual(data.messages);
    else expect(next).toBe(state);
  }
});

const known = (id: string, parent: string | null): Outline => ({ id, parent, role: 'user', status: 'completed' });
const conversation = { id: 'talk', title: '', running: [], created_at: '', updated_at: '' };

test('a goodbye to a deleted conversation says that it is gone', () => {
  expect(reduce(EMPTY, { type: 'bye', reason: 'deleted' }).deleted).toBe(true);
});

test('a frame of a type that is not known changes nothing', () => {
  expect(reduce(EMPTY, { type: 'reply.painted' } as never)).toBe(EMPTY);
});

test('a piece of a reply that is not known changes nothing', () => {
  expect(reduce(EMPTY, { type: 'reply.delta', reply_id: 'nowhere', part: 0, text: 'x' })).toBe(EMPTY);
});

test('what runs is known at every step', () => {
  const [, scene] = scenes.find(([name]) => name === 'plain_reply')!;
  const running = new Set<string>();
  let state = begin(scene);

  for (const { event } of scene.steps) {
    if (event.type === 'reply.created') running.add(event.reply.id);
    if (event.type === 'reply.ended') running.delete(event.reply_id);
    state = reduce(state, event);
    expect(state.conversation?.running).toEqual([...running]);
  }
});

test('the branch goes from the root to the head and leaves the others out', () => {
  const messages = [known('a', null), known('b', 'a'), known('c', 'a'), known('d', 'c')];
  const ids = (head: string | null) =>
    branch({ conversation: { ...conversation, head }, messages, deleted: false }).map(({ id }) => id);

  expect(ids('d')).toEqual(['a', 'c', 'd']);
  expect(ids('b')).toEqual(['a', 'b']);
  expect(ids(null)).toEqual([]);
});

test('a branch that bites its tail ends', () => {
  const messages = [known('a', 'b'), known('b', 'a')];

  expect(branch({ conversation: { ...conversation, head: 'a' }, messages, deleted: false })).toHaveLength(2);
});

test('a snapshot that only outlines what has ended leaves it whole, and nothing else', () => {
  const whole = { ...known('a', null), parts: [], text: 'older', created_at: '' };
  const live = { ...known('b', 'a'), status: 'running', parts: [], text: 'half', created_at: '' } as const;
  const held = { conversation: { ...conversation, head: 'b' }, messages: [whole, live], deleted: false };
  const messages = [known('a', null), known('b', 'a')];

  const next = reduce(held, { type: 'snapshot', conversation: held.conversation, messages, cursor: '' });

  expect(next.messages).toEqual([whole, known('b', 'a')]); // the rest of b was never heard
});

test('what was read beside the stream fills outlines and nothing else', () => {
  const whole = { ...known('a', null), parts: [], text: 'older', created_at: '' };
  const newer = { ...known('b', 'a'), parts: [], text: 'as the stream told it', created_at: '' } as unknown as Reply;
  const state = { conversation: { ...conversation, head: 'b' }, messages: [known('a', null), newer], deleted: false };

  const next = reduce(state, { type: 'filled', messages: [whole, { ...newer, text: 'older' }, { ...whole, id: 'z' }] });

  expect(next.messages).toEqual([whole, newer]);
});
