import { type ByteString, fromBytes } from '../../model/byte-string.ts';
import { isAppError } from '../../model/errors.ts';
import { jsonString, quoteName } from '../format/go-text.ts';
import { type IdList, idListOf } from '../format/id-list.ts';
import { decodeTree, type TreeNode } from '../format/node.ts';

const opening = '{"nodes":[{"name":"';
const separator = '},{"name":"';
const closing = '}]}\n';
const endOfName = '","type":"';

/**
 * A directory as the parent snapshot has it. Its tree is compared as text where that is enough: an unchanged file's
 * node is found again byte for byte, and nothing of it is parsed.
 */
export class ParentDirectory {
  readonly treeId: string;
  readonly #bytes: Buffer;
  #texts: ReadonlyMap<ByteString, ByteString> | undefined;
  #nodes: ReadonlyMap<ByteString, TreeNode> | undefined;

  constructor(treeId: string, bytes: Buffer) {
    this.treeId = treeId;
    this.#bytes = bytes;
    this.#texts = splitTree(fromBytes(bytes));
  }

  hasText(tree: Buffer): boolean {
    return this.#bytes.equals(tree);
  }

  has(name: ByteString): boolean {
    return this.#texts ? this.#texts.has(keyOf(name)) : this.#decoded.has(name);
  }

  /** The exact JSON of a node; undefined when there is none, or when this tree has to be parsed. */
  textOf(name: ByteString): ByteString | undefined {
    const rest = this.#texts?.get(keyOf(name));
    return rest === undefined ? undefined : `{"name":"${rest}}`;
  }

  node(name: ByteString): TreeNode | undefined {
    return this.#decoded.get(name);
  }

  /** The ids of a file's blobs, without parsing the other files. */
  contentOf(name: ByteString): IdList | undefined {
    if (!this.#texts) {
      const node = this.node(name);
      return node && idListOf(node.content);
    }
    return /,"content":\[([^\]]*)\]$/.exec(this.#texts.get(keyOf(name)) ?? '')?.[1];
  }

  /** The tree of a directory in this one. */
  subtreeOf(name: ByteString): string | undefined {
    if (!this.#texts) return this.node(name)?.subtree;
    return /,"subtree":"([0-9a-f]{64})"$/.exec(this.#texts.get(keyOf(name)) ?? '')?.[1];
  }

  get #decoded(): ReadonlyMap<ByteString, TreeNode> {
    this.#nodes ??= new Map(readNodes(this.#bytes).map((node) => [node.name, node]));
    return this.#nodes;
  }
}

/** A tree that makes no sense here, such as one of a newer program, is as good as none: then everything is read again. */
function readNodes(bytes: Buffer): TreeNode[] {
  try {
    return decodeTree(bytes);
  } catch (error) {
    if (isAppError(error, 'integrity') || isAppError(error, 'unsupported')) return [];
    throw error;
  }
}

/** The ids in the JSON of a file's content. */
export function idsIn(content: ByteString): readonly string[] {
  return content.match(/[0-9a-f]{64}/g) ?? [];
}

function keyOf(name: ByteString): ByteString {
  return jsonString(quoteName(name)).slice(1, -1);
}

/**
 * The nodes' texts by the names in them, without the braces around. Undefined for a tree that is not as we write it, and for one
 * with attributes: their names look like nodes' names. In a string a quote is escaped, so no name can look like it.
 */
function splitTree(text: ByteString): ReadonlyMap<ByteString, ByteString> | undefined {
  if (!text.startsWith(opening) || !text.endsWith(closing)) return undefined;
  if (text.includes('"extended_attributes"') || text.includes('"generic_attributes"')) return undefined;
  const texts = new Map<ByteString, ByteString>();
  for (const rest of text.slice(opening.length, -closing.length).split(separator)) {
    texts.set(rest.slice(0, rest.indexOf(endOfName)), rest);
  }
  return texts;
}
