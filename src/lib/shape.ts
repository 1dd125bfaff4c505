import { isMap, isScalar, isSeq, type Node } from 'yaml';
import { AppError, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { nearNames } from '../model/near-names.ts';

/**
 * Describes a value of the configuration: both the reader, whose messages name line and column, and the JSON
 * schema for editors come from it.
 */
export interface Shape<T> {
  /** Throws `Misfit` at the first problem that cannot be collected with others. */
  read(node: Node, reading: Reading): T;
  readonly schema: JsonSchema;
}

export type JsonSchema = Readonly<Record<string, unknown>>;

/** One reading of a document, which collects problems and values. */
export interface Reading {
  /** The node that an alias stands for. */
  resolve(node: unknown): Node | undefined;
  /** `file:12:3`. */
  where(node: Node | undefined): string;
  problem(node: Node | undefined, path: readonly string[], message: string): void;
  /** Records a value of the document, for `config show`. */
  value(node: Node, path: readonly string[], value: unknown): void;
  readonly path: readonly string[];
}

/** Thrown and caught within a reading. */
export class Misfit extends Error {
  readonly node: Node | undefined;

  constructor(message: string, node: Node | undefined) {
    super(message);
    this.node = node;
  }
}

/** A scalar that `parse` converts; its `usage` errors become problems with a position. */
export function text<T = string>(parse: (text: string) => T, schema: JsonSchema = {}): Shape<T> {
  return {
    schema: { type: 'string', ...schema },
    read(node, reading) {
      if (!isScalar(node) || typeof node.value !== 'string')
        throw new Misfit(`must be a text${hintFor(node)}`, node);
      reading.value(node, reading.path, node.value);
      return parsed(node, () => parse(String(node.value)));
    },
  };
}

/** A number or a flag that was meant as text. */
function hintFor(node: Node): string {
  if (!isScalar(node) || node.value === null) return '';
  return `: write ${JSON.stringify(node.source ?? '')}`;
}

export const anyText: Shape<string> = text((value) => value);

export function oneOf<const T extends string>(words: readonly T[]): Shape<T> {
  return text(
    (value) => {
      const word = words.find((candidate) => candidate === value);
      if (word === undefined) throw new AppError('usage', `must be one of ${words.join(', ')}`);
      return word;
    },
    { enum: words },
  );
}

export const flag: Shape<boolean> = {
  schema: { type: 'boolean' },
  read(node, reading) {
    if (!isScalar(node) || typeof node.value !== 'boolean') throw new Misfit('must be true or false', node);
    reading.value(node, reading.path, node.value);
    return node.value;
  },
};

export function wholeNumber(least: number, most: number): Shape<number> {
  return {
    schema: { type: 'integer', minimum: least, maximum: most },
    read(node, reading) {
      const value = isScalar(node) ? node.value : undefined;
      if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most)
        throw new Misfit(`must be a whole number from ${least} to ${most}`, node);
      reading.value(node, reading.path, value);
      return value;
    },
  };
}

/** The first shape that fits. */
export function either<A, B>(
  first: Shape<A>,
  second: Shape<B>,
  isFirst: (node: Node) => boolean,
): Shape<A | B> {
  return {
    schema: { anyOf: [first.schema, second.schema] },
    read: (node, reading) => (isFirst(node) ? first.read(node, reading) : second.read(node, reading)),
  };
}

export function listOf<T>(item: Shape<T>): Shape<readonly T[]> {
  return {
    schema: { type: 'array', items: item.schema },
    read(node, reading) {
      if (!isSeq(node)) throw new Misfit('must be a list', node);
      return node.items.flatMap((entry, index) => {
        const found = tryRead(item, entry, below(reading, String(index)));
        return found === undefined ? [] : [found.value];
      });
    },
  };
}

export function oneOrMore<T>(item: Shape<T>): Shape<readonly T[]> {
  const list = listOf(item);
  return {
    schema: { anyOf: [item.schema, list.schema] },
    read: (node, reading) => (isSeq(node) ? list.read(node, reading) : [item.read(node, reading)]),
  };
}

/** A mapping whose keys are names chosen by the user. */
export function mapOf<T>(
  value: Shape<T>,
  name: { readonly pattern: string; readonly problem: string } = { pattern: '.', problem: 'is no name' },
): Shape<ReadonlyMap<string, T>> {
  const isName = new RegExp(name.pattern, 'u');
  return {
    schema: { type: 'object', additionalProperties: value.schema, propertyNames: { pattern: name.pattern } },
    read(node, reading) {
      const found = new Map<string, T>();
      for (const { key, keyNode, valueNode } of entriesOf(node)) {
        const inner = below(reading, key);
        if (!isName.test(key)) reading.problem(keyNode, inner.path, name.problem);
        const read = tryRead(value, valueNode, inner, keyNode);
        if (read !== undefined) found.set(key, read.value);
      }
      return found;
    },
  };
}

type Fields = Readonly<Record<string, Shape<unknown>>>;
export type Read<F extends Fields> = {
  readonly [K in keyof F]: (F[K] extends Shape<infer T> ? T : never) | undefined;
};

/** A mapping with these keys, optional unless named in `required`; `x-…` is ignored. */
export function fields<F extends Fields>(
  shapes: F,
  options: { readonly required?: readonly (keyof F & string)[]; readonly description?: string } = {},
): Shape<Read<F>> {
  const required = options.required ?? [];
  return {
    schema: {
      type: 'object',
      properties: Object.fromEntries(Object.entries(shapes).map(([key, shape]) => [key, shape.schema])),
      patternProperties: { '^x-': {} },
      additionalProperties: false,
      ...(required.length > 0 ? { required } : {}),
    },
    read(node, reading) {
      const found: Record<string, unknown> = {};
      const entries = entriesOf(node);
      for (const { key, keyNode, valueNode } of entries) {
        const inner = below(reading, key);
        const shape = Object.hasOwn(shapes, key) ? shapes[key] : undefined;
        if (shape !== undefined) found[key] = tryRead(shape, valueNode, inner, keyNode)?.value;
        else if (!key.startsWith('x-'))
          reading.problem(keyNode, inner.path, `is not known here${nearest(key, Object.keys(shapes))}`);
      }
      for (const key of required)
        if (!entries.some((entry) => entry.key === key))
          reading.problem(node, reading.path, `needs ${quote(key)}`);
      return found as Read<F>;
    },
  };
}

/** Converts the values; `convert` may throw `usage`. */
export function converted<A, B>(shape: Shape<A>, convert: (value: A) => B): Shape<B> {
  return {
    schema: shape.schema,
    read: (node, reading) => parsed(node, () => convert(shape.read(node, reading))),
  };
}

interface MapEntry {
  readonly key: string;
  readonly keyNode: Node | undefined;
  readonly valueNode: unknown;
}

function entriesOf(node: Node): MapEntry[] {
  if (!isMap(node)) throw new Misfit('must be a mapping', node);
  return node.items.map(({ key, value }) => ({
    key: isScalar(key) ? String(key.value) : String(key),
    keyNode: isScalar(key) ? key : undefined,
    valueNode: value,
  }));
}

/** Reads one part; its problems are recorded, and the rest is still read. */
function tryRead<T>(
  shape: Shape<T>,
  found: unknown,
  reading: Reading,
  keyNode?: Node,
): { value: T } | undefined {
  const node = reading.resolve(found);
  try {
    if (node === undefined) throw new Misfit('has no value', keyNode);
    return { value: shape.read(node, reading) };
  } catch (error) {
    if (!(error instanceof Misfit)) throw error;
    reading.problem(error.node ?? keyNode, reading.path, error.message);
    return undefined;
  }
}

function parsed<T>(node: Node, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!isAppError(error, 'usage')) throw error;
    const detail = error.detail === undefined ? '' : ` (${error.detail})`;
    throw new Misfit(`${error.message}${detail}`, node);
  }
}

function below(reading: Reading, key: string): Reading {
  return { ...reading, path: [...reading.path, key] };
}

function nearest(key: string, known: readonly string[]): string {
  const [near] = nearNames(key.toLowerCase().replaceAll('_', '-'), known);
  return near === undefined ? `: there is ${known.join(', ')}` : `: did you mean ${quote(near)}?`;
}
