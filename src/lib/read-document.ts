import {
  Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
} from 'yaml';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { Misfit, type Reading, type Shape } from './shape.ts';

/** A value with its place in a file. */
export interface PlacedValue {
  /** `policies.nightly.keep.daily`. */
  readonly name: string;
  readonly value: unknown;
  /** `FILE:LINE`. */
  readonly from: string;
}

export interface DocumentReading<T> {
  readonly value: T;
  readonly values: readonly PlacedValue[];
}

/** Maximum number of problems in one message. */
const shownAtMost = 20;

/**
 * Reads YAML of a shape. All problems are in one `usage` error, each with line and column. An empty document
 * is undefined.
 */
export function readDocument<T>(
  content: string,
  shape: Shape<T>,
  file: string,
): DocumentReading<T> | undefined {
  const lines = new LineCounter();
  const document = parseDocument(content, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const [broken] = document.errors;
  if (broken !== undefined)
    throw notReadable(file, [`${placeOf(broken.pos[0], { lines, file })}: ${broken.message}`]);
  if (document.contents === null) return undefined;
  const reading = newReading(
    (found) => resolveNode(found, document),
    (node) => placeOf(node?.range?.[0] ?? 0, { lines, file }),
  );
  const value = readPart(shape, reading.resolve(document.contents), reading);
  if (reading.problems.length > 0 || value === undefined) throw notReadable(file, reading.problems);
  return { value: value.value, values: reading.values };
}

export interface PlacedPart {
  /** Plain data that another reader has taken from YAML. */
  readonly value: unknown;
  /** For the message. */
  readonly file: string;
  /** Its place in the document. */
  readonly path: readonly string[];
  /** `FILE:LINE:COLUMN` of a key or value below it. */
  readonly where: (path: readonly (string | number)[], part: 'key' | 'value') => string;
}

/** The same for a part of a document that has been read already. */
export function readPlaced<T>(shape: Shape<T>, { value, file, path, where }: PlacedPart): T {
  const places = new Map<Node, string>();
  const node = new Document(value, { aliasDuplicateObjects: false }).contents;
  placeNodes(node, path, (one, at, part) => places.set(one, where(at, part)));
  const here = where(path, 'value');
  const open = newReading(
    (found) => (isNode(found) ? found : undefined),
    (one) => (one === undefined ? here : (places.get(one) ?? here)),
  );
  const reading = { ...open, path };
  const found = readPart(shape, reading.resolve(node), reading);
  if (reading.problems.length > 0 || found === undefined) throw notReadable(file, reading.problems);
  return found.value;
}

type Place = (node: Node, path: readonly (string | number)[], part: 'key' | 'value') => void;

function placeNodes(node: unknown, path: readonly (string | number)[], place: Place): void {
  if (!isNode(node)) return;
  place(node, path, 'value');
  if (isScalar(node) && typeof node.value !== 'string') node.source = String(node.value);
  if (isSeq(node))
    for (const [index, item] of node.items.entries()) placeNodes(item, [...path, index], place);
  if (!isMap(node)) return;
  for (const { key, value } of node.items) {
    const inner = [...path, isScalar(key) ? String(key.value) : ''];
    if (isNode(key)) place(key, inner, 'key');
    placeNodes(value, inner, place);
  }
}

function placeOf(offset: number, { lines, file }: { lines: LineCounter; file: string }): string {
  const { line, col } = lines.linePos(offset);
  return `${file}:${line}:${col}`;
}

interface OpenReading extends Reading {
  readonly problems: string[];
  readonly values: PlacedValue[];
}

function newReading(resolve: Reading['resolve'], where: Reading['where']): OpenReading {
  const problems: string[] = [];
  const values: PlacedValue[] = [];
  return {
    problems,
    values,
    resolve,
    where,
    path: [],
    problem: (node, path, message) => void problems.push(`${where(node)}: ${subject(path)} ${message}`),
    value: (node, path, value) =>
      void values.push({ name: path.join('.'), value, from: where(node).replace(/:\d+$/, '') }),
  };
}

function subject(path: readonly string[]): string {
  return path.length === 0 ? 'the document' : path.join('.');
}

function resolveNode(node: unknown, document: Document.Parsed): Node | undefined {
  if (isAlias(node)) return node.resolve(document);
  return isNode(node) ? node : undefined;
}

function readPart<T>(
  shape: Shape<T>,
  node: Node | undefined,
  reading: OpenReading,
): { value: T } | undefined {
  try {
    if (node === undefined) throw new Misfit('has no value', undefined);
    return { value: shape.read(node, reading) };
  } catch (error) {
    if (!(error instanceof Misfit)) throw error;
    reading.problem(error.node, reading.path, error.message);
    return undefined;
  }
}

function notReadable(file: string, problems: readonly string[]): AppError {
  const more = problems.length - shownAtMost;
  return new AppError('usage', `The configuration in ${quote(file)} cannot be used`, {
    detail: [...problems.slice(0, shownAtMost), ...(more > 0 ? [`and ${more} more`] : [])].join('\n'),
    hint: 'Nothing of it was applied. "holdfast config check" looks again.',
  });
}
