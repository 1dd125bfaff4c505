import {
  Composer,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  Parser,
} from 'yaml';
import type { Position } from '../model/finding.ts';
import { AppError } from '../model/errors.ts';
import type { ComposeComment, ComposePath } from './compose-project.ts';
import { type LoadLimits, newLoadLimits } from './load-limits.ts';
import {
  type Placed,
  type PlacedEntry,
  type PlacedMap,
  type PlacedScalar,
  plainOf,
  scalarAt,
} from './placed.ts';

/** One document of a Compose file; a file may hold several, which are merged like files. */
export interface YamlDocument {
  readonly top: Placed;
  /** Where `!reset` and `!override` stand: what earlier files have there is forgotten. */
  readonly resets: readonly ComposePath[];
}

export interface YamlFile {
  readonly documents: readonly YamlDocument[];
  /** By line. */
  readonly comments: ReadonlyMap<number, ComposeComment>;
  /** The lines that hold a comment and nothing else. */
  readonly commentLines: ReadonlySet<number>;
}

/** Deeper than any Compose file, and far less than what overflows the stack. */
const mostLevels = 100;
/** A file of 100,000 bytes has 30,000; a time of a second or two. */
const mostLexemes = 150_000;
const mostLinesOfText = 5000;

/**
 * Reads YAML as Compose does: scalars as in YAML 1.1 (`0777` is octal) but `yes` and `on` are texts, `<<`
 * merges, a key is given once. Throws `usage` with `FILE:LINE:COLUMN`.
 */
export function parseYaml(written: string, file: string, limits: LoadLimits): YamlFile {
  // Compose's YAML library takes these for line ends, too, and ours does not.
  const content = written.replaceAll(/\r(?!\n)|\u0085/g, '\n');
  const lines = new LineCounter();
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const comments: { text: string; offset: number }[] = [];
  const documents = compose(content, {
    lines,
    at,
    comment: (text, offset) => comments.push({ text, offset }),
  });
  const placed = comments.map(({ text, offset }) => ({
    text: text.replace(/^#+/, '').trim(),
    position: at(offset),
    isAlone: /(?:^|\n)[ \t]*$/.test(content.slice(content.lastIndexOf('\n', offset - 1) + 1, offset)),
  }));
  return {
    documents: documents
      .filter(({ contents }) => contents !== null)
      .map((document) => readDocument(document, { at, limits })),
    comments: new Map(placed.map(({ text, position }) => [position.line, { text, position }])),
    commentLines: new Set(placed.filter(({ isAlone }) => isAlone).map(({ position }) => position.line)),
  };
}

/**
 * The documents of one file as plain values, as they are written: nothing filled in, extended or included. Throws as
 * `parseYaml` does.
 */
export function readDocuments(content: string): readonly unknown[] {
  const { documents } = parseYaml(content, 'compose.yaml', newLoadLimits(undefined));
  return documents.map(({ top }) => plainOf(top));
}

interface Composing {
  readonly lines: LineCounter;
  readonly at: (offset: number) => Position;
  readonly comment: (text: string, offset: number) => void;
}

/** The library's own loop has no bound, and takes minutes for a hostile file of a few megabytes. */
function compose(content: string, { lines, at, comment }: Composing): Document.Parsed[] {
  const documents: Document.Parsed[] = [];
  const parser = new Parser(lines.addNewLine);
  // Scalars stay texts here: `scalarOf` knows what Compose makes of them.
  const composer = new Composer({ schema: 'failsafe', prettyErrors: false, uniqueKeys: false });
  let [count, isScalarNext] = [0, false];
  lines.addNewLine(0);
  const control = content.search(controls);
  if (control !== -1) {
    const line = content.slice(0, control).split('\n');
    throw broken(
      { ...at(0), line: line.length, column: (line.at(-1)?.length ?? 0) + 1 },
      'control characters are not allowed',
    );
  }
  for (const lexeme of new Lexer().lex(content)) {
    const here = at(parser.offset);
    if (++count > mostLexemes) throw broken(here, 'the file has too many parts');
    if (lexeme.startsWith('#') && !isScalarNext) comment(lexeme, parser.offset);
    isScalarNext = lexeme === scalarMark;
    if (/^["']/.test(lexeme) && hasManyLines(lexeme)) throw broken(here, 'a quoted text has too many lines');
    for (const token of parser.next(lexeme)) documents.push(...composer.next(token));
    if (parser.stack.length > 2 * mostLevels)
      throw broken(here, `values lie deeper than ${mostLevels} levels`);
  }
  for (const token of parser.end()) documents.push(...composer.next(token));
  documents.push(...composer.end(false, content.length));
  for (const { errors } of documents)
    if (errors[0] !== undefined) throw broken(at(errors[0].pos[0]), errors[0].message);
  return documents;
}

/** Those that YAML forbids. */
const controls = /[^\P{Cc}\t\n\r\u0085-\u009f]/u;
const scalarMark = '\u001f';

function hasManyLines(text: string): boolean {
  let count = 0;
  for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', end + 1))
    if (++count > mostLinesOfText) return true;
  return false;
}

/** `FILE:LINE:COLUMN`, for the start of a message. */
export function formatPosition({ file, line, column }: Position): string {
  return `${file}:${line}:${column}`;
}

/** A file that tells nothing, as far as it is one of several. */
class BrokenFile extends AppError {}

export function broken(position: Position, reason: string): AppError {
  return new BrokenFile('usage', `${formatPosition(position)}: ${reason}`);
}

/** True for what `broken` has made: one file is at fault, and not the whole project too much. */
export function isBroken(error: unknown): boolean {
  return error instanceof BrokenFile;
}

interface DocumentReading {
  readonly at: (offset: number) => Position;
  readonly limits: LoadLimits;
}

function readDocument(document: Document.Parsed, { at, limits }: DocumentReading): YamlDocument {
  const resets: ComposePath[] = [];
  const anchors = new Map<string, Node>();
  /** Those that are being read: an alias to one of them would never end. */
  const open = new Set<Node>();

  const placeOf = (node: unknown): Position => at((node as Node | null)?.range?.[0] ?? 0);

  /** Undefined for what `!reset` removes. */
  function read(node: unknown, path: ComposePath, holder: Position): Placed | undefined {
    limits.value();
    if (path.length > mostLevels) throw broken(holder, `values lie deeper than ${mostLevels} levels`);
    if (isAlias(node)) return readAlias(node.source, path, placeOf(node));
    const here = node === null || node === undefined ? holder : placeOf(node);
    const { tag, anchor } = (node ?? {}) as { tag?: string; anchor?: string };
    if (anchor !== undefined) anchors.set(anchor, node as Node);
    if (tag === '!reset' || tag === '!override') resets.push(path);
    if (tag === '!reset') return undefined;
    if (!isMap(node) && !isSeq(node)) return scalarOf(node, here);
    open.add(node);
    const value = isMap(node) ? readMap(node.items, path, here) : readList(node.items, path, here);
    open.delete(node);
    return value;
  }

  function readList(nodes: readonly unknown[], path: ComposePath, here: Position): Placed {
    const items = nodes.map((item, index) => read(item, [...path, index], here));
    return { kind: 'list', at: here, items: items.filter((item) => item !== undefined) };
  }

  function readAlias(name: string, path: ComposePath, here: Position): Placed | undefined {
    const node = anchors.get(name);
    if (node === undefined) throw broken(here, `there is no anchor "&${name}" before it`);
    if (open.has(node)) throw broken(here, `the alias "*${name}" holds itself`);
    return read(node, path, here);
  }

  function readMap(
    pairs: readonly { key: unknown; value: unknown }[],
    path: ComposePath,
    here: Position,
  ): PlacedMap {
    const entries = new Map<string, PlacedEntry>();
    const merged: Placed[] = [];
    for (const { key, value } of pairs) {
      const keyAt = placeOf(key);
      if (isScalar(key) && key.value === '<<' && key.type === 'PLAIN') {
        const bases = read(value, path, keyAt);
        merged.push(...(bases?.kind === 'list' ? bases.items : bases === undefined ? [] : [bases]));
        continue;
      }
      const name = keyOf(isAlias(key) ? anchors.get(key.source) : key, keyAt);
      if (isScalar(key) && key.anchor !== undefined) anchors.set(key.anchor, key);
      if (entries.has(name)) throw broken(keyAt, `the key ${JSON.stringify(name)} is there twice`);
      const placed = read(value, [...path, name], keyAt);
      if (placed !== undefined) entries.set(name, { keyAt, value: placed });
    }
    for (const base of merged) {
      if (base.kind !== 'map')
        throw broken(base.at, 'map merge requires map or sequence of maps as the value');
      for (const [name, entry] of base.entries) if (!entries.has(name)) entries.set(name, entry);
    }
    return { kind: 'map', at: here, entries };
  }

  const top = read(document.contents, [], at(0)) ?? scalarAt(null, at(0));
  return { top, resets };
}

function keyOf(key: unknown, at: Position): string {
  if (!isScalar(key)) throw broken(at, 'a key must be a text');
  const { value } = scalarOf(key, at);
  if (typeof value === 'string') return value;
  throw broken(at, `the key ${JSON.stringify(value)} must be a text: put it in quotes`);
}

/** What Compose's YAML reader makes of a scalar: a plain one may be a number, a flag or nothing. */
function scalarOf(node: unknown, at: Position): PlacedScalar {
  if (!isScalar(node)) return scalarAt(null, at);
  // The schema makes texts of all of them; an empty one is null.
  const text = typeof node.value === 'string' ? node.value : '';
  if (node.type !== 'PLAIN' || node.tag === '!!str' || node.tag === 'tag:yaml.org,2002:str')
    return scalarAt(text, at);
  const value = plainScalar(text);
  return typeof value === 'number' && !wholeNumber.test(text.replaceAll('_', ''))
    ? { ...scalarAt(value, at), text: fractionText(value) }
    : scalarAt(value, at);
}

/** As Go prints a fraction: the fewest digits, with an exponent of two digits from a million on. */
function fractionText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  const short = value.toExponential();
  const exponent = Number(short.slice(short.indexOf('e') + 1));
  if (exponent >= -4 && exponent < 6) return Object.is(value, -0) ? '-0' : String(value);
  return short.replace(/e([+-])(\d)$/, 'e$10$2');
}

const words: Readonly<Record<string, null | boolean | number>> = {
  '': null,
  '~': null,
  null: null,
  Null: null,
  NULL: null,
  true: true,
  True: true,
  TRUE: true,
  false: false,
  False: false,
  FALSE: false,
  '.nan': Number.NaN,
  '.NaN': Number.NaN,
  '.NAN': Number.NaN,
  '.inf': Infinity,
  '.Inf': Infinity,
  '.INF': Infinity,
  '+.inf': Infinity,
  '-.inf': -Infinity,
};

const wholeNumber = /^([-+]?)(?:0x([\da-f]+)|0b([01]+)|0o?([0-7]+)|(0|[1-9]\d*))$/i;

function plainScalar(text: string): string | number | boolean | null {
  const word = Object.hasOwn(words, text) ? words[text] : undefined;
  if (word !== undefined) return word;
  if (!/^[-+.\d]/.test(text)) return text;
  const digits = text.replaceAll('_', '');
  const whole = wholeNumber.exec(digits);
  if (whole !== null) {
    const [, sign, hex, binary, octal, decimal] = whole;
    const size =
      hex !== undefined
        ? Number.parseInt(hex, 16)
        : binary !== undefined
          ? Number.parseInt(binary, 2)
          : octal !== undefined
            ? Number.parseInt(octal, 8)
            : Number(decimal);
    // A number that a double cannot hold keeps its digits.
    if (!Number.isSafeInteger(size)) return text;
    return sign === '-' ? -size : size;
  }
  return /^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:e[-+]?\d+)?$/i.test(digits) ? Number(digits) : text;
}
