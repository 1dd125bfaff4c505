import { Breather } from '../../lib/breathe.ts';
import { type ByteString, fromText, toPrintable } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { BlobIndex } from '../blob-index/blob-index.ts';
import { sealOverhead } from '../crypto/seal.ts';
import { decodeTree, type TreeNode } from '../format/node.ts';
import { isStrictTime } from '../format/timestamp.ts';
import { isOutOfReach } from '../out-of-reach.ts';
import type { BlobReader } from '../read/blob-reader.ts';
import { mostEntries } from '../read/entry-bound.ts';
import type { CheckOptions } from '../types.ts';

interface TreeCheckerOptions {
  readonly reader: BlobReader;
  readonly index: BlobIndex;
  readonly losses: Losses;
  readonly errors: string[];
  readonly options: CheckOptions;
  /** Collects the packs that hold what files need. */
  readonly packs?: Set<string> | undefined;
}

/** Where something was first found: it damages every snapshot that has it, but is reported once. */
interface Place {
  readonly snapshot: string;
  readonly path: ByteString;
}

/** Checks trees, each once. */
export class TreeChecker {
  readonly #options: TreeCheckerOptions;
  readonly #known = new Map<string, boolean>();
  /** The number of entries in and below each tree. */
  readonly #counts = new Map<string, number>();
  readonly #breather: Breather;

  constructor(options: TreeCheckerOptions) {
    this.#options = options;
    this.#breather = new Breather('checking snapshots', undefined);
  }

  /** True when everything below the tree of a snapshot can be restored, as far as is known. */
  async isWhole(tree: string, snapshot: string): Promise<boolean> {
    return await this.#isWhole(tree, { snapshot, path: '' });
  }

  async #isWhole(tree: string, place: Place): Promise<boolean> {
    const known = this.#known.get(tree);
    if (known !== undefined) return known;
    throwIfStopped(this.#options.options);
    if (this.#breather.isDue()) await this.#breather.breathe();
    const nodes = await this.#load(tree, place);
    let isWhole = nodes !== undefined;
    let count = 0;
    for (const node of nodes ?? []) {
      const at = { ...place, path: `${place.path}/${node.name}` };
      if (!this.#hasContent(node, at)) isWhole = false;
      if (node.subtree !== undefined && !(await this.#isWhole(node.subtree, at))) isWhole = false;
      count += 1 + (this.#counts.get(node.subtree ?? '') ?? 0);
    }
    if (count > mostEntries && isWhole) {
      // A few trees that refer to each other many times: a restore would never end.
      this.#tell(place, `it names ${count} entries, more than any file system can hold`);
      isWhole = false;
    }
    this.#counts.set(tree, count);
    this.#known.set(tree, isWhole);
    return isWhole;
  }

  async #load(tree: string, place: Place): Promise<TreeNode[] | undefined> {
    try {
      const text = await this.#options.reader.read(tree, 'tree');
      const nodes = decodeTree(text);
      for (const [name, time] of wrongTimes(text))
        this.#tell({ ...place, path: `${place.path}/${name}` }, `a time of it is none: ${quote(time)}`);
      return nodes;
    } catch (error) {
      if (!(error instanceof AppError) || isOutOfReach(error)) throw error;
      this.#tell(place, `the list of what is in it is lost: ${error.message}`);
      return undefined;
    }
  }

  #hasContent(node: TreeNode, place: Place): boolean {
    if (node.type === 'dir' && node.subtree === undefined) {
      this.#tell(place, 'it has lost the list of what is in it');
      return false;
    }
    const { index, losses, packs } = this.#options;
    let lost = 0;
    let bytes = 0;
    for (const id of node.content) {
      const found = index.find(id, 'data');
      if (found) packs?.add(found.packId);
      if (!found || losses.packs.has(found.packId) || losses.blobs.has(id)) lost++;
      else bytes += found.uncompressedLength || found.length - sealOverhead;
    }
    if (lost > 0) this.#tell(place, `${lost} of its ${node.content.length} blobs are lost`);
    else if (node.type === 'file' && bytes !== node.size)
      this.#tell(place, `its blobs have ${bytes} bytes where ${node.size} are expected`);
    else return true;
    return false;
  }

  #tell({ snapshot, path }: Place, what: string): void {
    this.#options.errors.push(
      `"${toPrintable(path === '' ? '/' : path)}" in snapshot "${snapshot.slice(0, 8)}": ${what}`,
    );
  }
}

const timeFields = /"[amc]time":"([^"]*)"/g;

/** Names and times that restic cannot read; our restore uses the nearest valid value. */
function wrongTimes(text: Buffer): (readonly [ByteString, string])[] {
  const found = Array.from(text.toString('latin1').matchAll(timeFields), ([, time = '']) => time);
  if (found.every((time) => isStrictTime(time))) return [];
  const { nodes } = JSON.parse(text.toString('utf8')) as {
    readonly nodes: readonly Readonly<Record<string, string>>[];
  };
  return nodes.flatMap((node) =>
    ['mtime', 'atime', 'ctime'].flatMap((field) => {
      const time = node[field];
      const isWrong = time !== undefined && !isStrictTime(time);
      return isWrong ? [[fromText(String(node['name'])), time] as const] : [];
    }),
  );
}

export function throwIfStopped({ signal }: { readonly signal?: AbortSignal | undefined }): void {
  if (signal?.aborted) throw new AppError('cancelled', 'The check was stopped');
}

/** What a check has found to be lost. */
export interface Losses {
  /** Ids of packs that are missing, truncated, or not trustworthy in any part. */
  readonly packs: Set<string>;
  /** Ids of single blobs that are damaged. */
  readonly blobs: Set<string>;
}
