import { type ByteString, fromBytes, toBytes } from '../../model/byte-string.ts';
import { isAppError } from '../../model/errors.ts';
import { jsonString, quoteName } from '../format/go-text.ts';
import { type IdList, idListOf, parseIds } from '../format/id-list.ts';
import { treeEnd, treeStart } from '../format/encode-tree.ts';
import { decodeTree, type NodeText, type TreeNode } from '../format/node.ts';

const startOfNode = '{"name":"';
const separator = `},${startOfNode}`;
const closing = `}${treeEnd}`;
const endOfName = '","type":"';

/** The position of a node in the text of its tree. */
interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * A directory of the parent snapshot. Its tree is compared as text where possible: an unchanged file's node
 * is found byte for byte, without parsing.
 */
export class ParentDirectory {
  readonly treeId: string;
  /** The text of the tree, kept once: for a database of 20 GB it has 44 MB. */
  readonly #text: ByteString;
  readonly #spans: ReadonlyMap<ByteString, Span> | undefined;
  #nodes: ReadonlyMap<ByteString, TreeNode> | undefined;

  constructor(treeId: string, bytes: Uint8Array) {
    this.treeId = treeId;
    this.#text = fromBytes(bytes);
    this.#spans = spansOf(this.#text);
  }

  /** True when a tree of these nodes is known to be this one, without building it. */
  isTreeOf(nodes: readonly NodeText[]): boolean {
    let at = treeStart.length;
    for (const [i, node] of nodes.entries()) {
      if (typeof node !== 'string') return false;
      if (i > 0 && this.#text[at++] !== ',') return false;
      if (!this.#text.startsWith(node, at)) return false;
      at += node.length;
    }
    return this.#text.startsWith(treeStart) && this.#text.slice(at) === treeEnd;
  }

  has(name: ByteString): boolean {
    return this.#spans ? this.#spans.has(keyOf(name)) : this.#decoded.has(name);
  }

  /** The exact JSON of a node; undefined when there is none, or when this tree has to be parsed. */
  textOf(name: ByteString): ByteString | undefined {
    const span = this.#spans?.get(keyOf(name));
    return span && this.#text.slice(span.start, span.end);
  }

  node(name: ByteString): TreeNode | undefined {
    return this.#decoded.get(name);
  }

  /** The ids of a file's blobs, without parsing the other files. */
  contentOf(name: ByteString): IdList | undefined {
    if (!this.#spans) {
      const node = this.node(name);
      return node && idListOf(node.content);
    }
    const json = /,"content":\[([^\]]*)\]\}$/.exec(this.textOf(name) ?? '')?.[1];
    return json === undefined ? undefined : parseIds(json);
  }

  /** The id of a subdirectory's tree. */
  subtreeOf(name: ByteString): string | undefined {
    if (!this.#spans) return this.node(name)?.subtree;
    return /,"subtree":"([0-9a-f]{64})"\}$/.exec(this.textOf(name) ?? '')?.[1];
  }

  get #decoded(): ReadonlyMap<ByteString, TreeNode> {
    this.#nodes ??= new Map(readNodes(toBytes(this.#text)).map((node) => [node.name, node]));
    return this.#nodes;
  }
}

/** An invalid tree, or one of a newer program, counts as none: everything is read again. */
function readNodes(bytes: Buffer): TreeNode[] {
  try {
    return decodeTree(bytes);
  } catch (error) {
    if (isAppError(error, 'integrity') || isAppError(error, 'unsupported')) return [];
    throw error;
  }
}

/** The ids in the JSON of a file's content, which begins at `from`. */
export function* idsIn(text: ByteString, from: number): Generator<string, void, undefined> {
  const id = /[0-9a-f]{64}/g;
  id.lastIndex = from;
  for (let match = id.exec(text); match; match = id.exec(text)) yield match[0];
}

function keyOf(name: ByteString): ByteString {
  return jsonString(quoteName(name)).slice(1, -1);
}

/**
 * The positions of nodes by name. Undefined for a tree that we did not write, and for one with attributes,
 * whose names look like nodes' names. Quotes in strings are escaped, so no string can look like a name field.
 */
function spansOf(text: ByteString): ReadonlyMap<ByteString, Span> | undefined {
  if (!text.startsWith(treeStart + startOfNode) || !text.endsWith(closing)) return undefined;
  if (text.includes('"extended_attributes"') || text.includes('"generic_attributes"')) return undefined;
  const spans = new Map<ByteString, Span>();
  const last = text.length - treeEnd.length;
  for (let start = treeStart.length; start < last;) {
    const name = start + startOfNode.length;
    const next = text.indexOf(separator, name);
    const end = next < 0 ? last : next + 1;
    spans.set(text.slice(name, text.indexOf(endOfName, name)), { start, end });
    start = end + 1;
  }
  return spans;
}
