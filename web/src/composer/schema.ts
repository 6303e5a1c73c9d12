/** Options of a responder: the fields of a form from their JSON Schema, and what somebody has put into them. */

type Schema = Record<string, unknown>;

/** What is in the fields that somebody has touched, as text; null is JSON's null. */
export type Given = Record<string, string | null>;

export interface Field {
  name: string;
  label: string;
  hint: string;
  /** `choice` holds one of `choices`, as JSON text; `json` is for whatever has no field of its own. */
  kind: 'integer' | 'number' | 'boolean' | 'choice' | 'text' | 'long' | 'json';
  required: boolean;
  /** Null is allowed, but not what an empty field means. */
  nullable: boolean;
  /** What the responder takes where nothing is given; undefined where the schema does not tell. */
  initial: unknown;
  choices: string[];
  schema: Schema;
}

/** What is sent of the fields, and, by name, what is wrong with the others. */
export interface Reading {
  options: Record<string, unknown>;
  wrong: Record<string, string>;
}

const LONG = 200; // characters, from which on a text has more than a line
const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;
const INTEGER = /^[+-]?\d+$/;

/** Return the fields of a form; a schema that is not one of an object has none. */
export function fieldsOf(schema: Schema): Field[] {
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  const definitions = isObject(schema['$defs']) ? schema['$defs'] : {};
  const required = Array.isArray(schema['required']) ? schema['required'] : [];
  return Object.entries(properties).map(([name, property]) =>
    fieldOf(name, isObject(property) ? property : {}, definitions, required.includes(name)),
  );
}

/** Read all fields. What is empty or as the responder takes it anyway is not sent. */
export function read(fields: readonly Field[], given: Given): Reading {
  const reading: Reading = { options: {}, wrong: {} };
  for (const field of fields) {
    const text = given[field.name];
    if (text === undefined || text === '') {
      if (field.required) reading.wrong[field.name] = 'This option is required.';
      continue;
    }
    const [value, wrong] = text === null ? [null, ''] : valueOf(field, text);
    if (wrong) reading.wrong[field.name] = wrong;
    else if (field.initial === undefined || !same(value, field.initial)) reading.options[field.name] = value;
  }
  return reading;
}

function fieldOf(name: string, property: Schema, definitions: Schema, required: boolean): Field {
  const [schema, withNull] = settle(property, definitions);
  const initial = property['default'];
  const choices = choicesOf(schema, withNull, initial);
  const kind = choices ? 'choice' : kindOf(schema, initial);
  return {
    name,
    label: textOf(property['title']) || name.replaceAll('_', ' '),
    hint: [textOf(schema['description']), kind === 'integer' || kind === 'number' ? rangeOf(schema) : '']
      .filter(Boolean)
      .join(' · '),
    kind,
    required,
    nullable: withNull && initial !== null && kind !== 'choice' && kind !== 'json',
    initial,
    choices: choices ?? [],
    schema,
  };
}

/** Follow references, and take the one kind out of "that or null"; says too whether null is allowed. */
function settle(property: Schema, definitions: Schema, depth = 0): [schema: Schema, withNull: boolean] {
  const { $ref, anyOf, ...rest } = property;
  if (typeof $ref === 'string' && depth < 8) {
    const found = definitions[$ref.slice($ref.lastIndexOf('/') + 1)];
    return settle({ ...(isObject(found) ? found : {}), ...rest }, definitions, depth + 1);
  }
  if (!Array.isArray(anyOf)) return [rest, false];
  const kinds = anyOf.filter(isObject).filter((kind) => kind['type'] !== 'null');
  const withNull = kinds.length < anyOf.length;
  if (kinds.length === 1 && depth < 8) {
    const [schema, inner] = settle({ ...kinds[0], ...rest }, definitions, depth + 1);
    return [schema, withNull || inner];
  }
  const isNumber = kinds.length > 0 && kinds.every(({ type }) => type === 'integer' || type === 'number');
  return [isNumber ? { ...rest, type: 'number' } : rest, withNull];
}

function choicesOf(schema: Schema, withNull: boolean, initial: unknown): string[] | null {
  const truth = schema['type'] === 'boolean' && (withNull || typeof initial !== 'boolean');
  const values: unknown = truth ? [true, false] : 'const' in schema ? [schema['const']] : schema['enum'];
  if (!Array.isArray(values)) return null;
  const all: unknown[] = withNull && !values.includes(null) ? [...(values as unknown[]), null] : values;
  return all.map((value) => JSON.stringify(value));
}

function kindOf(schema: Schema, initial: unknown): Field['kind'] {
  switch (schema['type']) {
    case 'integer':
    case 'number':
    case 'boolean':
      return schema['type'];
    case 'string': {
      const long = Number(schema['maxLength'] ?? 0) > LONG || /\n|.{80}/.test(textOf(initial));
      return long ? 'long' : 'text';
    }
    default:
      return 'json';
  }
}

function rangeOf(schema: Schema): string {
  const names = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'];
  const [low, high, above, below, step] = names.map((name) => schema[name]).map((value) => (typeof value === 'number' ? value : undefined));
  const told = low !== undefined && high !== undefined ? [`${low} to ${high}`] : [];
  if (told.length === 0 && low !== undefined) told.push(`at least ${low}`);
  if (told.length === 0 && high !== undefined) told.push(`at most ${high}`);
  if (above !== undefined) told.push(`more than ${above}`);
  if (below !== undefined) told.push(`less than ${below}`);
  if (step !== undefined) told.push(`in steps of ${step}`);
  return told.join(', ');
}

function valueOf(field: Field, text: string): [value: unknown, wrong: string] {
  switch (field.kind) {
    case 'integer':
    case 'number':
      return numberOf(field, text.trim());
    case 'boolean':
      return [text === 'true', ''];
    case 'choice':
      return field.choices.includes(text) ? [JSON.parse(text), ''] : [null, 'This is no choice any more.'];
    case 'json':
      try {
        return [JSON.parse(text), ''];
      } catch {
        return [null, 'This is not JSON, such as "a", 1, true, null, [1, 2] or {"a": 1}.'];
      }
    default:
      return [text, lengthWrong(field.schema, text)];
  }
}

function numberOf({ kind, schema }: Field, text: string): [value: unknown, wrong: string] {
  const value = Number(text);
  if (kind === 'integer' && !(INTEGER.test(text) && Number.isSafeInteger(value))) return [null, 'This must be a whole number.'];
  if (!(NUMBER.test(text) && Number.isFinite(value))) return [null, 'This must be a number.'];
  const [low, high] = [Number(schema['minimum'] ?? -Infinity), Number(schema['maximum'] ?? Infinity)];
  const [above, below] = [Number(schema['exclusiveMinimum'] ?? -Infinity), Number(schema['exclusiveMaximum'] ?? Infinity)];
  const fits = value >= low && value <= high && value > above && value < below;
  return [value, fits ? '' : `This must be a number: ${rangeOf(schema)}.`];
}

function lengthWrong(schema: Schema, text: string): string {
  const length = [...text].length;
  const [low, high] = [Number(schema['minLength'] ?? 0), Number(schema['maxLength'] ?? Infinity)];
  if (length < low) return `This must have at least ${low} characters.`;
  return length > high ? `This must have at most ${high} characters.` : '';
}

const isObject = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** JSON text in which no order of names tells, since 30.0 is 30 there and objects are compared as they are written. */
const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);
