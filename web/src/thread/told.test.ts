import { expect, test } from 'vitest';
import type { Reply } from '../client/protocol';
import { endingOf, factsOf, firstWords, heardOf, isLong, isPicture, linkOf, pretty } from './told';

const reply: Reply = {
  ...{ id: 'r', parent: 'q', role: 'assistant', status: 'completed', text: 'All is  well.\nReally.', parts: [], responder: 'mock' },
  ...{ created_at: '2026-01-01T00:00:00.000Z', started_at: '2026-01-01T00:00:01.000Z' },
  ...{ first_token_at: '2026-01-01T00:00:01.250Z', ended_at: '2026-01-01T00:00:03.250Z' },
  ...{ finish_reason: 'stop', usage: { input_tokens: 7, output_tokens: 1001, total_tokens: 1008 }, error: null },
};
const facts = (change: Partial<Reply> = {}) => Object.fromEntries(factsOf({ ...reply, ...change }));

test('times are those of the reply itself', () => {
  expect(facts()).toMatchObject({
    Responder: 'mock',
    Written: '1,001 tokens',
    Read: '7 tokens',
    'Waited before it began': '1.00 s',
    'Time to first token': '250 ms',
    'Tokens per second': '500',
    'Time in all': '3.25 s',
    'Finish reason': 'stop',
  });
});

test('what was estimated or not all says so', () => {
  const usage = { input_tokens: 7, output_tokens: 9, total_tokens: 16, estimated: true, partial: true };

  expect(facts({ usage })['Written']).toBe('about 9 tokens, not all');
  expect(facts({ usage })['Tokens per second']).toBe('about 4.0');
});

test('what is not known is not told, and no time runs backwards', () => {
  const unknown = facts({ usage: null, started_at: null, first_token_at: null, finish_reason: null, created_at: 'never' });

  expect(Object.keys(unknown)).toEqual(['Responder', 'Asked']);
  expect(facts({ first_token_at: '2025-01-01T00:00:00Z' })).not.toHaveProperty('Time to first token');
  expect(facts({ ended_at: reply.first_token_at })).not.toHaveProperty('Tokens per second');
});

test('an ending is told in honest words', () => {
  expect(endingOf(reply)).toBe('');
  expect(endingOf({ ...reply, finish_reason: 'length' })).toContain('Cut');
  expect(endingOf({ ...reply, status: 'cancelled' })).toBe('Stopped.');
  expect(endingOf({ ...reply, status: 'failed', error: { code: 'x', message: 'Out of tea.' } })).toBe('Failed: Out of tea.');
  expect(endingOf({ ...reply, status: 'interrupted' })).toContain('Interrupted');
});

test('what is read out is that it began, and the first words of how it ended', () => {
  expect(heardOf({ ...reply, status: 'running' })).toBe('Reply started');
  expect(heardOf(reply)).toBe('Reply finished: All is well. Really.');
  expect(heardOf({ ...reply, status: 'cancelled' })).toBe('Reply finished: Stopped.');
  expect(firstWords('word '.repeat(1e6))).toBe(`${'word '.repeat(16)}…`);
});

test('JSON is laid out, and what is none is left as it is', () => {
  expect(pretty('{"a":[1]}')).toBe('{\n  "a": [\n    1\n  ]\n}');
  expect(pretty('{"a":')).toBe('{"a":');
});

test('a question is long by its lines or its letters', () => {
  expect(isLong('line\n'.repeat(11))).toBe(false);
  expect(isLong('line\n'.repeat(12))).toBe(true);
  expect(isLong('x'.repeat(1201))).toBe(true);
});

test.each([
  ['data:image/png;base64,AAAA', true, ''],
  ['DATA:image/WEBP;base64,AAAA', true, ''],
  ['data:image/svg+xml;base64,AAAA', false, ''],
  ['data:text/html;base64,AAAA', false, ''],
  ['https://example.org/a b.png', false, 'https://example.org/a%20b.png'],
  ['javascript:alert(1)//https://example.org', false, ''],
  [' java\nscript:alert(1)', false, ''],
  ['blob:https://example.org/1', false, ''],
  ['//example.org/x.png', false, ''],
  ['file:///etc/passwd', false, ''],
  ['no address', false, ''],
])('of the image %j, shown is %s and linked %j', (url, shown, link) => {
  expect([isPicture(url), linkOf(url)]).toEqual([shown, link]);
});

test('a reply that a client brought along names no responder', () => {
  expect(facts({ responder: 'client' })['Responder']).toContain('a client brought it');
});
