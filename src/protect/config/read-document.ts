import { isAlias, isNode, LineCounter, type Node, parseDocument } from 'yaml';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { Misfit, type Reading, type Shape } from './shape.ts';

/** A value as it stands in a file. */
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

/** Problems that are told at once. */
const shownAtMost = 20;

/** Reads YAML of a shape. All that is wrong is in one `usage` error, each with line and column. An empty document is undefined. */
export function readDocument<T>(
  content: string,
  shape: Shape<T>,
  file: string,
): DocumentReading<T> | undefined {
  const lines = new LineCounter();
  const document = parseDocument(content, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const [broken] = document.errors;
  if (broken !== undefined) throw notReadable(file, [`${at(broken.pos[0])}: ${broken.message}`]);
  if (document.contents === null) return undefined;
  const reading = newReading((node) => resolveNode(node, document), at);
  const value = readPart(shape, document.contents, reading);
  if (reading.problems.length > 0 || value === undefined) throw notReadable(file, reading.problems);
  return { value: value.value, values: reading.values };
}

interface OpenReading extends Reading {
  readonly problems: string[];
  readonly values: PlacedValue[];
}

function newReading(resolve: Reading['resolve'], at: (offset: number) => string): OpenReading {
  const problems: string[] = [];
  const values: PlacedValue[] = [];
  const where = (node: Node | undefined): string => at(node?.range?.[0] ?? 0);
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

function resolveNode(node: unknown, document: ReturnType<typeof parseDocument>): Node | undefined {
  if (isAlias(node)) return node.resolve(document);
  return isNode(node) ? node : undefined;
}

function readPart<T>(shape: Shape<T>, contents: Node, reading: OpenReading): { value: T } | undefined {
  try {
    return { value: shape.read(contents, reading) };
  } catch (error) {
    if (!(error instanceof Misfit)) throw error;
    reading.problem(error.node, [], error.message);
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
