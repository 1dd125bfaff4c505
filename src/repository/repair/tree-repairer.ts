import { Breather } from '../../lib/breathe.ts';
import { type ByteString, toBytes, toPrintable } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import { encodeTree, splitTree } from '../format/encode-tree.ts';
import { decodeTree, type TreeNode } from '../format/node.ts';
import type { BlobReader } from '../read/blob-reader.ts';
import type { LostEntry } from '../requests.ts';

export interface TreeRepairerOptions {
  readonly reader: BlobReader;
  /** False for a blob that does not exist. */
  readonly hasContent: (id: string) => boolean;
  /** Stores a tree, and returns its id. */
  readonly saveTree: (text: Buffer) => Promise<string>;
  readonly signal: AbortSignal | undefined;
}

export interface RepairedTree {
  readonly id: string;
  /** Relative to the tree; empty for an intact tree, which stays as it is. */
  readonly lost: readonly LostEntry[];
}

/** The result for a node: its file is lost, its directory becomes empty, or it stays, with its new tree. */
type Outcome = 'lost' | 'emptied' | { readonly id: string | undefined; readonly lost: readonly LostEntry[] };

/** Rebuilds trees without the lost entries, each once. */
export class TreeRepairer {
  readonly #options: TreeRepairerOptions;
  readonly #whole = new Set<string>();
  readonly #repaired = new Map<string, RepairedTree>();
  readonly #breather: Breather;

  constructor(options: TreeRepairerOptions) {
    this.#options = options;
    this.#breather = new Breather('repairing snapshots', options.signal);
  }

  /** Undefined when the tree itself is lost. */
  async repair(id: string): Promise<RepairedTree | undefined> {
    if (this.#whole.has(id)) return { id, lost: [] };
    const known = this.#repaired.get(id);
    if (known) return known;
    this.#breather.check();
    if (this.#breather.isDue()) await this.#breather.breathe();
    const tree = await this.#load(id);
    if (!tree) return undefined;
    const result = await this.#rewrite(id, tree);
    if (result.lost.length === 0) this.#whole.add(id);
    else this.#repaired.set(id, result);
    return result;
  }

  async #load(id: string): Promise<Buffer | undefined> {
    try {
      const text = await this.#options.reader.read(id, 'tree');
      decodeTree(text);
      return text;
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'integrity') throw error;
      return undefined;
    }
  }

  async #rewrite(id: string, text: Buffer): Promise<RepairedTree> {
    const lost: LostEntry[] = [];
    const changes = new Map<ByteString, Outcome>();
    for (const node of decodeTree(text)) {
      const change = await this.#judge(node);
      const path = toPrintable(node.name);
      if (change === 'lost') lost.push({ path, type: 'file', size: node.size });
      else if (change === 'emptied') lost.push({ path, type: 'dir', size: 0 });
      else for (const entry of change.lost) lost.push({ ...entry, path: `${path}/${entry.path}` });
      changes.set(node.name, change);
    }
    if (lost.length === 0) return { id, lost };
    const kept: ByteString[] = [];
    for (const nodeText of splitTree(text)) {
      const [node] = decodeTree(toBytes(`{"nodes":[${nodeText}]}`));
      const change = node && changes.get(node.name);
      if (change === 'lost' || !change) continue;
      const subtree = change === 'emptied' ? await this.#options.saveTree(emptyTree) : change.id;
      kept.push(subtree === node.subtree ? nodeText : withSubtree(nodeText, node.subtree, subtree));
    }
    return { id: await this.#options.saveTree(encodeTree(kept)), lost };
  }

  async #judge(node: TreeNode): Promise<Outcome> {
    if (!this.#hasAllContent(node)) return 'lost';
    if (node.type !== 'dir') return { id: node.subtree, lost: [] };
    return (node.subtree !== undefined && (await this.repair(node.subtree))) || 'emptied';
  }

  #hasAllContent(node: TreeNode): boolean {
    return node.content.every((blob) => this.#options.hasContent(blob));
  }
}

const emptyTree = Buffer.from('{"nodes":[]}\n');

/** Other fields are kept byte for byte, since another program may have written some that are unknown here. */
function withSubtree(text: ByteString, old: string | undefined, id: string | undefined): ByteString {
  if (id === undefined) return text;
  if (old === undefined) return `${text.slice(0, -1)},"subtree":"${id}"}`;
  const at = text.lastIndexOf(`"${old}"`);
  return `${text.slice(0, at + 1)}${id}${text.slice(at + 1 + old.length)}`;
}
