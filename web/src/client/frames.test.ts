import { expect, test } from 'vitest';
import { Lag, Malformed, Reader, watchQuery } from './frames';
import type { StreamName } from './held';
import control from '../../../tests/vectors/control.json';

const A = 'conversation/a';
const hello = (stream: string, epoch: string | null) => JSON.stringify({ type: 'hello', stream, epoch });
const delta = '{"type":"reply.delta","reply_id":"r","part":0,"text":"x"}';
const id = (epoch: string, seq: number) => `${epoch}-${String(seq).padStart(12, '0')}`;

function opened(): Reader {
  const reader = new Reader();
  reader.read('hello', hello(A, 'aaa'), '');
  reader.read('hello', hello('broadcast', 'bbb'), '');
  reader.read('hello', hello('conversations', null), '');
  return reader;
}

test('an id tells its stream, by the epoch that its hello has named', () => {
  const reader = opened();

  expect(reader.read('reply.delta', delta, id('aaa', 1))).toMatchObject({ stream: A, id: id('aaa', 1) });
  expect(reader.read('message', 'hello', id('bbb', 1))).toMatchObject({ stream: 'broadcast', id: id('bbb', 1) });
  expect(reader.read('reply.delta', delta, id('aaa', 2))).toMatchObject({ stream: A, id: id('aaa', 2) });
});

test('a control frame and what is of the list say their stream, and have no id though the browser repeats one', () => {
  const reader = opened();
  reader.read('reply.delta', delta, id('aaa', 1));

  const ping = reader.read('ping', '{"type":"ping","cursor":"x","stream":"broadcast"}', id('aaa', 1));
  const gone = reader.read('conversation.deleted', '{"type":"conversation.deleted","id":"c","stream":"conversations"}', id('aaa', 1));

  expect([ping.stream, ping.id, gone.stream, gone.id]).toEqual(['broadcast', null, 'conversations', null]);
});

test('a text without an id of its own is a join notice', () => {
  const reader = opened();
  reader.read('message', 'said', id('bbb', 1));

  expect(reader.read('message', 'A new user joined!', id('bbb', 1))).toEqual({
    stream: 'broadcast', id: null, frame: { type: 'message', text: 'A new user joined!', notice: true },
  });
});

test('a snapshot has both', () => {
  const snapshot = opened().read('snapshot', `{"type":"snapshot","stream":"${A}"}`, id('aaa', 7));

  expect([snapshot.stream, snapshot.id]).toEqual([A, id('aaa', 7)]);
});

test.each([
  ['{"type":"reply.delta","part', A],
  ['null', A],
  ['[]', A],
  ['{"type":"reply.ended"}', A],
  ['{}', A],
])('%s is no frame, and its id says of which stream', (data, stream) => {
  const read = () => opened().read('reply.delta', data, id('aaa', 1));

  expect(read).toThrow(Malformed);
  expect(read).toThrow(expect.objectContaining({ stream }));
});

test('what belongs to no stream is malformed', () => {
  expect(() => opened().read('reply.delta', delta, id('ccc', 1))).toThrow('belongs to no stream');
});

test('every control frame of the vectors is read as it is', () => {
  for (const { data, id } of control.steps) {
    const named = { stream: A, ...data };
    expect(new Reader().read(data.type, JSON.stringify(named), id ?? '').frame).toEqual(named);
  }
});

test('a busy stream, whose head is always a little ahead, does not lag', () => {
  const lag = new Lag();

  const noticed = Array.from({ length: 10 }, (_, n) => lag.notices(A, id('aaa', 100 * n), id('aaa', 100 * n + 5)));

  expect(noticed).not.toContain(true);
});

test('a stream that never gets its snapshot lags, too', () => {
  const lag = new Lag();

  expect([lag.notices(A, null, id('aaa', 5)), lag.notices(A, null, id('aaa', 5))]).toEqual([false, true]);
});

test('another connection is another log, perhaps', () => {
  const lag = new Lag();
  lag.notices(A, id('aaa', 5), id('aaa', 9));
  lag.begin();

  expect(lag.notices(A, id('bbb', 1), id('bbb', 1))).toBe(false);
});

test('the list has no head to lag behind', () => {
  const lag = new Lag();

  expect([1, 2, 3].map(() => lag.notices('conversations', null, null))).toEqual([false, false, false]);
});

test('what is watched does not depend on the cursors, and fits into the head of a request', () => {
  const names = Array.from({ length: 1000 }, (_, n): StreamName => `conversation/${String(n).padStart(26, '0')}`);

  const [bare, some] = watchQuery(names.map((name) => [name, null]));
  const [query, same] = watchQuery(names.map((name) => [name, id('aaaaaaaaaaaa', 1)]));

  expect(same).toEqual(some);
  expect(some.length).toBeGreaterThan(300);
  expect([bare.length, query.length].every((length) => length < 24_000)).toBe(true);
});
