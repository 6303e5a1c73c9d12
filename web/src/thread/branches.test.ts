import { expect, test } from 'vitest';
import type { Message, Outline, Reply, Role } from '../client/protocol';
import { besideEnd, newestBelow, pairAt, path, shape, shownPath, versionsOf } from './branches';

const ROLES: Record<string, Role> = { q: 'user', r: 'assistant', s: 'system' };

/** `r2<q1`: the reply r2 follows the question q1; in order of creation. */
const outlines = (...written: string[]): Outline[] =>
  written.map((text) => {
    const [id = '', parent] = text.split('<');
    return { id, parent: parent ?? null, role: ROLES[id[0] ?? ''] ?? 'user', status: 'completed' };
  });

const question = (id: string, parent: string | null, text: string): Message => ({
  ...{ id, parent, text, role: 'user', status: 'completed', created_at: '' },
  parts: [{ type: 'text', text }],
});
const reply = (id: string, parent: string, responder: string): Reply => ({
  ...{ id, parent, text: '', role: 'assistant', status: 'completed', created_at: '', parts: [], responder },
  ...{ started_at: null, first_token_at: null, ended_at: null, finish_reason: 'stop', usage: null, error: null },
});

const EDITED = outlines('q1', 'r1<q1', 'q2', 'r2<q2', 'q3<r1', 'r3<q3', 'q4<r2');

test('a branch leads from its root to its leaf', () => {
  expect(path(shape(EDITED), 'r3')).toEqual(['q1', 'r1', 'q3', 'r3']);
});

test('a branch begins where a parent is unknown', () => {
  expect(path(shape(outlines('r1<gone', 'q2<r1')), 'q2')).toEqual(['r1', 'q2']);
  expect(path(shape(EDITED), 'nothing')).toEqual([]);
  expect(path(shape(EDITED), null)).toEqual([]);
});

test('a circle of parents ends', () => {
  const circle = shape(outlines('q1<r2', 'r2<q1', 'q3<q3'));

  expect(path(circle, 'r2')).toEqual(['q1', 'r2']);
  expect(path(circle, 'q3')).toEqual(['q3']);
  expect(newestBelow(circle, 'q1')).toBe('r2');
  expect(newestBelow(circle, 'q3')).toBe('q3');
});

test('the newest below a message is what was created last, however deep', () => {
  expect(newestBelow(shape(EDITED), 'q1')).toBe('r3');
  expect(newestBelow(shape(EDITED), 'q2')).toBe('q4');
  expect(newestBelow(shape(EDITED), 'r3')).toBe('r3');
});

test('what was chosen is shown with what grows beneath it, and else the head', () => {
  const tree = shape(EDITED);

  expect(shownPath(tree, 'q4', null)).toEqual(['q2', 'r2', 'q4']);
  expect(shownPath(tree, 'q4', 'q1')).toEqual(['q1', 'r1', 'q3', 'r3']);
  expect(shownPath(shape([...EDITED, ...outlines('q5<r3')]), 'q5', 'q1').at(-1)).toBe('q5');
  expect(shownPath(tree, 'q4', 'not yet known')).toEqual(['q2', 'r2', 'q4']);
});

test('versions are those of one role with one parent, in order of creation', () => {
  const nodes = outlines('s', 'q1<s', 'r1<q1', 'r2<q1', 'q2<s', 'r3<q1');
  const versions = (id: string) => versionsOf(shape(nodes), nodes.find((node) => node.id === id) ?? nodes[0]!);

  expect(versions('r2')).toEqual({ ids: ['r1', 'r2', 'r3'], at: 1 });
  expect(versions('q2')).toEqual({ ids: ['q1', 'q2'], at: 1 });
  expect(versions('s')).toEqual({ ids: ['s'], at: 0 });
});

test('the shape is the same object until a message is added', () => {
  const before = shape(EDITED);

  expect(shape([...EDITED], before)).toBe(before);
  expect(shape(EDITED.map((node) => ({ ...node })), before)).toBe(before);
  expect(shape(EDITED.slice(1), before)).not.toBe(before);
  expect(shape([...EDITED, ...outlines('q9')], before)).not.toBe(before);
});

const ASKED_TWICE = [question('q1', null, 'Why?'), reply('r1', 'q1', 'echo'), question('q2', null, 'Why?'), reply('r2', 'q2', 'mock')];
const pairOf = (nodes: (Message | Outline)[], head: string, chosen: string | null = null) => {
  const tree = shape(nodes);
  return pairAt(tree, nodes, shownPath(tree, head, chosen), chosen);
};

test('one question to two responders is a pair, whichever of them came last', () => {
  expect(pairOf(ASKED_TWICE, 'r2')?.replies.map(({ id }) => id)).toEqual(['r1', 'r2']);
  expect(pairOf(ASKED_TWICE, 'r1')?.replies.map(({ id }) => id)).toEqual(['r1', 'r2']);
  expect(pairOf(ASKED_TWICE, 'r2', 'q1')?.question.id).toBe('q1');
});

test('who has chosen a reply of a pair sees that one alone', () => {
  expect(pairOf(ASKED_TWICE, 'r2', 'r1')).toBeNull();
});

test('another text, the same responder, or a branch that went on is no pair', () => {
  const [q1, r1, q2, r2] = ASKED_TWICE;

  expect(pairOf([q1!, r1!, question('q2', null, 'How?'), r2!], 'r2')).toBeNull();
  expect(pairOf([q1!, r1!, q2!, reply('r2', 'q2', 'echo')], 'r2')).toBeNull();
  expect(pairOf([...ASKED_TWICE, question('q3', 'r2', 'And?')], 'q3')).toBeNull();
  expect(pairOf([q1!, r1!, q2!], 'q2')).toBeNull();
});

test('of a question that was retried the newest reply is compared', () => {
  const nodes = [...ASKED_TWICE, reply('r3', 'q1', 'echo')];

  expect(pairOf(nodes, 'r3')?.replies.map(({ id }) => id)).toEqual(['r3', 'r2']);
});

test('what stands beside the end has to be whole before it can be compared', () => {
  const nodes = [...outlines('q1', 'r1<q1'), ...ASKED_TWICE.slice(2)];
  const tree = shape(nodes);

  expect(pairOf(nodes, 'r2')).toBeNull();
  expect(besideEnd(tree, ['q2', 'r2'])).toEqual(['q1', 'r1', 'q2', 'r2']);
  expect(besideEnd(shape(nodes.slice(2)), ['q2', 'r2'])).toEqual([]);
});
