import { type ByteString, fromBytes } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import { jsonLengthOf, writeIds } from './id-list.ts';
import type { NodeText } from './node.ts';

/** A longer text does not fit into a string, so the tree could not be read again. */
const maxTreeBytes = 2 ** 29 - 1024;

/**
 * A tree blob, in its own ArrayBuffer. Nodes must be sorted by name and encoded. `unsupported` for a
 * directory of over a million files.
 */
export function encodeTree(nodes: readonly NodeText[]): Buffer {
  const nodeBytes = nodes.reduce((sum, node) => sum + lengthOf(node) + 1, 0);
  if (nodeBytes > maxTreeBytes)
    throw new AppError('unsupported', `A directory holds too many files to be saved: ${nodes.length}`);
  const separators = Math.min(nodes.length, 1);
  const tree = Buffer.allocUnsafeSlow(treeStart.length + nodeBytes - separators + treeEnd.length);
  let at = tree.write(treeStart, 'latin1');
  for (const [i, node] of nodes.entries()) {
    if (i > 0) tree[at++] = comma;
    at = writeNode(node, tree, at);
  }
  tree.write(treeEnd, at, 'latin1');
  return tree;
}

function lengthOf(node: NodeText): number {
  if (typeof node === 'string') return node.length;
  return node.beforeIds.length + jsonLengthOf(node.ids) + node.afterIds.length;
}

function writeNode(node: NodeText, tree: Buffer, start: number): number {
  if (typeof node === 'string') return start + tree.write(node, start, 'latin1');
  const ids = start + tree.write(node.beforeIds, start, 'latin1');
  const end = writeIds(node.ids, tree, ids);
  return end + tree.write(node.afterIds, end, 'latin1');
}

export const treeStart = '{"nodes":[';
export const treeEnd = ']}\n';
const comma = 0x2c;

/**
 * The nodes of a tree blob as text, so that unknown fields are preserved. `integrity` for anything but a
 * tree.
 */
export function splitTree(text: Uint8Array): ByteString[] {
  const json = fromBytes(text);
  const start = /^\s*\{\s*"nodes"\s*:\s*\[/.exec(json)?.[0].length;
  if (start === undefined) {
    if (/^\s*\{\s*"nodes"\s*:\s*null\s*\}\s*$/.test(json)) return [];
    throw damaged();
  }
  const nodes: ByteString[] = [];
  for (let at = start; ;) {
    at = skipBlanks(json, at);
    if (json[at] === ']') break;
    if (nodes.length > 0) at = skipBlanks(json, at + 1);
    const end = endOfObject(json, at);
    nodes.push(json.slice(at, end));
    at = end;
  }
  return nodes;
}

function skipBlanks(json: string, from: number): number {
  let at = from;
  while (/\s/.test(json[at] ?? '')) at++;
  return at;
}

const significant = /["{}]/g;
const endOfString = /(?:[^"\\]|\\[\s\S])*"/y;

/** The end of the object that begins here, ignoring braces in strings. */
function endOfObject(json: string, from: number): number {
  if (json[from] !== '{') throw damaged();
  let depth = 0;
  significant.lastIndex = from;
  for (let match = significant.exec(json); match; match = significant.exec(json)) {
    if (match[0] === '"') {
      endOfString.lastIndex = significant.lastIndex;
      if (!endOfString.test(json)) throw damaged();
      significant.lastIndex = endOfString.lastIndex;
    } else if (match[0] === '{') depth++;
    else if (--depth === 0) return match.index + 1;
  }
  throw damaged();
}

function damaged(): AppError {
  return new AppError('integrity', 'A tree is damaged: it is no list of nodes');
}
