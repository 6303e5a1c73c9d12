import { describe, expect, test } from 'vitest';
import { fieldsOf, read } from './schema';

/** What `GET /responders` answers of our mock, and of a struct with everything that msgspec describes in its own way. */
const MOCK = {
  title: 'Options',
  type: 'object',
  properties: {
    tokens: { description: 'how many tokens of text', type: 'integer', minimum: 0, maximum: 100000, default: 200 },
    tokens_per_second: {
      anyOf: [{ description: 'null: no pause', type: 'number', minimum: 0.01, maximum: 100000 }, { type: 'null' }],
      default: 30.0,
    },
    seed: { anyOf: [{ description: 'null: from the text', type: 'integer', minimum: 0 }, { type: 'null' }], default: null },
    tool_call: { description: 'whether a tool is called', type: 'boolean', default: false },
  },
  required: [],
  additionalProperties: false,
};
const STRUCT = {
  type: 'object',
  properties: {
    need: { type: 'string' },
    kind: { $ref: '#/$defs/Kind', default: 'a' },
    maybe: { anyOf: [{ $ref: '#/$defs/Kind' }, { type: 'null' }], default: null },
    level: { enum: [1, 2, 3], default: 1 },
    steps: { type: 'integer', exclusiveMinimum: 0, exclusiveMaximum: 10, multipleOf: 2, default: 2 },
    warmth: { title: 'Warmth', description: 'how bold', type: 'number', exclusiveMinimum: 0, default: 0.5 },
    essay: { type: 'string', minLength: 2, maxLength: 2000, default: 'an essay' },
    tags: { type: 'array', items: { type: 'string' }, default: [] },
    inner: { $ref: '#/$defs/Inner' },
    either: { anyOf: [{ type: 'integer' }, { type: 'string' }], default: 1 },
    amount: { anyOf: [{ type: 'integer' }, { type: 'number' }], default: 1 },
    anything: { default: null },
    truth: { anyOf: [{ type: 'boolean' }, { type: 'null' }], default: null },
  },
  required: ['need'],
  $defs: {
    Kind: { title: 'Kind', enum: ['a', 'b'] },
    Inner: { title: 'Inner', type: 'object', properties: { x: { $ref: '#/$defs/Inner' } }, required: [] },
  },
};
const fields = Object.fromEntries(fieldsOf(STRUCT).map((field) => [field.name, field]));
const readOne = (name: string, text: string | null) => {
  const { options, wrong } = read([fields[name]!], { [name]: text });
  return wrong[name] ?? options[name];
};

describe('the fields of a form', () => {
  test('have what the schema says of each', () => {
    const [tokens, pace, seed, tool] = fieldsOf(MOCK);

    expect(tokens).toMatchObject({ kind: 'integer', initial: 200, hint: 'how many tokens of text · 0 to 100000' });
    expect(pace).toMatchObject({ kind: 'number', label: 'tokens per second', nullable: true, initial: 30 });
    expect(pace?.hint).toBe('null: no pause · 0.01 to 100000');
    expect(seed).toMatchObject({ kind: 'integer', nullable: false, initial: null, hint: 'null: from the text · at least 0' });
    expect(tool).toMatchObject({ kind: 'boolean', initial: false });
  });

  test('are found behind references and in "that or null"', () => {
    expect(fields['kind']).toMatchObject({ kind: 'choice', choices: ['"a"', '"b"'], label: 'kind' });
    expect(fields['maybe']).toMatchObject({ kind: 'choice', choices: ['"a"', '"b"', 'null'] });
    expect(fields['truth']).toMatchObject({ kind: 'choice', choices: ['true', 'false', 'null'] });
    expect(fields['amount']).toMatchObject({ kind: 'number' });
    expect(fields['essay']).toMatchObject({ kind: 'long' });
    expect(fields['warmth']).toMatchObject({ label: 'Warmth', hint: 'how bold · more than 0' });
  });

  test('take JSON where the schema is of no simple kind', () => {
    for (const name of ['tags', 'inner', 'either', 'anything']) expect(fields[name]?.kind, name).toBe('json');
  });

  test.each([{}, { properties: [] }, { properties: { x: 1 } }, { properties: { x: { $ref: '#/$defs/x' } }, $defs: { x: { $ref: '#/$defs/x' } } }])(
    'come of any schema: %j',
    (schema) => expect(fieldsOf(schema).every(({ kind }) => kind === 'json')).toBe(true),
  );
});

describe('what is read', () => {
  test('is sent only where it differs from what is taken anyway', () => {
    const given = { tokens: '200', tokens_per_second: '30.0', seed: '7', tool_call: 'true' };

    expect(read(fieldsOf(MOCK), given)).toEqual({ options: { seed: 7, tool_call: true }, wrong: {} });
    expect(read(fieldsOf(MOCK), { tokens: '', tool_call: 'false' })).toEqual({ options: {}, wrong: {} });
  });

  test('may be null, which is not the same as nothing', () => {
    expect(read(fieldsOf(MOCK), { tokens_per_second: null }).options).toEqual({ tokens_per_second: null });
  });

  test('is whole numbers, numbers, choices, texts and JSON', () => {
    expect(readOne('level', '3')).toBe(3);
    expect(readOne('maybe', '"b"')).toBe('b');
    expect(readOne('amount', ' 1.5e1 ')).toBe(15);
    expect(readOne('essay', 'some\ntext')).toBe('some\ntext');
    expect(readOne('tags', '["x"]')).toEqual(['x']);
    expect(readOne('truth', 'false')).toBe(false);
  });

  test.each([
    ['steps', '1.5', 'whole number'],
    ['steps', '0x10', 'whole number'],
    ['steps', '٣', 'whole number'],
    ['steps', '0', 'more than 0, less than 10, in steps of 2'],
    ['steps', '99999999999999999999', 'whole number'],
    ['warmth', '0', 'more than 0'],
    ['warmth', 'Infinity', 'a number'],
    ['warmth', '1e999', 'a number'],
    ['essay', 'x', 'at least 2 characters'],
    ['essay', 'x'.repeat(2001), 'at most 2000 characters'],
    ['tags', '[', 'not JSON'],
    ['kind', '"gone"', 'no choice'],
  ])('says what is wrong with %s: %s', (name, text, told) => {
    expect(readOne(name, text)).toContain(told);
  });

  test('misses what is required', () => {
    expect(read([fields['need']!], {}).wrong).toEqual({ need: 'This option is required.' });
    expect(read([fields['need']!], { need: 'x' })).toEqual({ options: { need: 'x' }, wrong: {} });
  });
});

test('a bound that is no number is not told', () => {
  const [field] = fieldsOf({ type: 'object', properties: { a: { type: 'integer', minimum: { x: 1 }, maximum: 'many', multipleOf: 2 } } });

  expect(field?.hint).toBe('in steps of 2');
});
