import { awaitedLater } from '../../lib/awaited-later.ts';
import { readUserNames } from '../../lib/user-names.ts';
import { type ByteString, toPrintable } from '../../model/byte-string.ts';
import type { Entry } from '../../model/entry.ts';
import { AppError } from '../../model/errors.ts';
import { encodeTree } from '../format/encode-tree.ts';
import { encodeNode, type TreeNode } from '../format/node.ts';
import { ExactTimes, type ReadTimes } from './exact-times.ts';
import { nameOfEntry, nodeOfEntry } from './node-of-entry.ts';
import type { ParentDirectory } from './parent-directory.ts';
import type { KnownTrees } from './parent-trees.ts';
import type { SaveScheduler } from './save-scheduler.ts';
import type { SaveTally } from './save-tally.ts';
import { StreamContent } from './stream-content.ts';

export interface StreamSaverOptions {
  readonly scheduler: SaveScheduler;
  readonly tally: SaveTally;
  readonly polynomial: bigint;
  readonly isExcluded: ((path: ByteString, isDirectory: boolean) => boolean) | undefined;
  readonly readTimes: ReadTimes | undefined;
  readonly parents: KnownTrees | undefined;
  readonly parentTreeId: string | undefined;
}

export interface StreamedEntry {
  readonly entry: Entry;
  readonly body: AsyncIterable<Uint8Array>;
}

/** A directory whose entries are still arriving. */
interface OpenDirectory {
  readonly path: ByteString;
  readonly node: Promise<TreeNode>;
  readonly parent: ParentDirectory | undefined;
  readonly children: Map<ByteString, Promise<ByteString>>;
}

/** A file that has arrived, for later hard links to it. */
interface KnownFile {
  readonly node: TreeNode;
  readonly content: Promise<string[]>;
}

/**
 * Saves a stream of entries, depth first, as container engines send them: each directory's tree is assembled
 * when the stream leaves it. Everything is read, since a stream does not show what changed; known content is
 * not stored again.
 */
export class StreamSaver {
  readonly #options: StreamSaverOptions;
  readonly #names = readUserNames();
  readonly #content: StreamContent;
  readonly #times: ExactTimes | undefined;
  readonly #stack: OpenDirectory[] = [];
  readonly #known = new Map<ByteString, KnownFile>();
  readonly #leftOut = new Set<ByteString>();

  constructor(options: StreamSaverOptions) {
    this.#options = options;
    this.#content = new StreamContent(options.scheduler, options.polynomial);
    this.#times = options.readTimes && new ExactTimes(options.readTimes);
  }

  async save(entries: AsyncIterable<StreamedEntry>): Promise<{ dataTree: string; dataNode: TreeNode }> {
    for await (const { entry, body } of entries) {
      if (this.#isExcluded(entry)) {
        if (entry.type === 'file') this.#leftOut.add(entry.path);
        continue;
      }
      if (this.#isLinkToLeftOut(entry)) continue;
      await this.#options.scheduler.room();
      await this.#times?.room();
      await this.#leaveUntil(parentOf(entry.path));
      if (entry.type === 'dir') await this.#enter(entry);
      else this.#put(entry.path, (await this.#save(entry, body)).text);
    }
    await this.#leaveUntil('');
    const root = this.#stack.pop();
    if (!root) throw new AppError('integrity', 'The stream of the volume ended before it began');
    this.#content.sendParcel();
    return { dataTree: await this.#finish(root), dataNode: await root.node };
  }

  #isExcluded(entry: Entry): boolean {
    const { isExcluded } = this.#options;
    if (!isExcluded || entry.path === '') return false;
    const parts = entry.path.split('/');
    return parts.some((_, i) =>
      isExcluded(parts.slice(0, i + 1).join('/'), i < parts.length - 1 || entry.type === 'dir'),
    );
  }

  /** The stream carries the content of a hard-linked file only once, and it was not read there. */
  #isLinkToLeftOut({ path, hardLinkTo }: Entry): boolean {
    if (hardLinkTo === undefined || !this.#leftOut.has(hardLinkTo)) return false;
    this.#leftOut.add(path);
    const message = `is the same file as "${toPrintable(hardLinkTo)}", which is left out`;
    this.#options.tally.problems.push({ path, reason: 'unreadable', message });
    return true;
  }

  async #enter(entry: Entry): Promise<void> {
    if (entry.path === '' ? this.#stack.length > 0 : this.#stack.length === 0) throw outOfOrder(entry.path);
    if (entry.path !== '') this.#options.tally.countDirectory();
    const { parents, parentTreeId } = this.#options;
    const above = this.#stack.at(-1)?.parent;
    const treeId = entry.path === '' ? parentTreeId : above?.subtreeOf(nameOfEntry(entry.path));
    const node = this.#exact(
      entry.path,
      nodeOfEntry(entry, this.#names),
      above?.node(nameOfEntry(entry.path)),
    );
    awaitedLater(node);
    this.#stack.push({
      path: entry.path,
      node,
      parent: await (parents && this.#options.scheduler.counted(() => parents.load(treeId))),
      children: new Map(),
    });
  }

  /** Finishes directories until the innermost open one is `path`. */
  async #leaveUntil(path: ByteString | undefined): Promise<void> {
    if (path === undefined) return;
    for (let top = this.#stack.at(-1); top && top.path !== path; top = this.#stack.at(-1)) {
      if (top.path === '' || !(path === '' || top.path.startsWith(`${path}/`))) throw outOfOrder(path);
      this.#stack.pop();
      const tree = this.#finish(top);
      awaitedLater(tree);
      const { node } = top;
      this.#put(
        top.path,
        tree.then(async (subtree) => encodeNode({ ...(await node), subtree })),
      );
      await this.#options.scheduler.room();
    }
  }

  #put(path: ByteString, node: Promise<ByteString>): void {
    awaitedLater(node);
    const directory = this.#stack.at(-1);
    const name = nameOfEntry(path);
    if (!directory || directory.children.has(name)) throw outOfOrder(path);
    directory.children.set(name, node);
  }

  async #save(entry: Entry, body: AsyncIterable<Uint8Array>): Promise<{ text: Promise<ByteString> }> {
    const known = entry.hardLinkTo === undefined ? await this.#saveNew(entry, body) : this.#findLinked(entry);
    this.#known.set(entry.path, known);
    const before = this.#stack.at(-1)?.parent?.node(nameOfEntry(entry.path));
    return { text: this.#encode(entry.path, known, before) };
  }

  async #encode(path: ByteString, known: KnownFile, before: TreeNode | undefined): Promise<ByteString> {
    const content = await known.content;
    const isSame = before?.type === known.node.type && sameIds(before.content, content);
    const node = await this.#exact(path, known.node, isSame ? before : undefined);
    const { tally } = this.#options;
    if (node.type !== 'file') tally.countOther();
    else {
      tally.noteRead();
      tally.countFile(isSame ? 'unmodified' : before ? 'changed' : 'new', node.size, path);
    }
    return encodeNode({ ...node, name: nameOfEntry(path), content });
  }

  async #saveNew(entry: Entry, body: AsyncIterable<Uint8Array>): Promise<KnownFile> {
    const node = nodeOfEntry(entry, this.#names);
    if (entry.type !== 'file') return { node, content: Promise.resolve([]) };
    const { pending } = await this.#content.save(entry, body);
    awaitedLater(pending);
    return { node, content: pending };
  }

  #findLinked(entry: Entry): KnownFile {
    const known = this.#known.get(entry.hardLinkTo ?? '');
    if (!known) {
      const names = `"${toPrintable(entry.path)}" to "${toPrintable(entry.hardLinkTo ?? '')}"`;
      throw new AppError('integrity', `The stream links ${names}, which it has not sent`);
    }
    return known;
  }

  /**
   * The node with its time to the nanosecond, where the source can be asked. A file with the content and the
   * second of the last backup gets its nanoseconds too; asking for every time would take longer than the
   * backup.
   */
  async #exact(path: ByteString, node: TreeNode, before: TreeNode | undefined): Promise<TreeNode> {
    if (!this.#times) return node;
    const isKnown = before !== undefined && second(before.mtimeNs) === second(node.mtimeNs);
    const mtimeNs = isKnown ? before.mtimeNs : await this.#times.ask(path);
    // A time in another second belongs to a later change that the stream does not contain.
    if (mtimeNs === undefined || second(mtimeNs) !== second(node.mtimeNs)) return node;
    return { ...node, mtimeNs, atimeNs: mtimeNs };
  }

  async #finish(directory: OpenDirectory): Promise<string> {
    const names = [...directory.children.keys()].sort();
    const nodes = await Promise.all(names.map(async (name) => (await directory.children.get(name)) ?? ''));
    if (directory.parent?.isTreeOf(nodes)) return directory.parent.treeId;
    return await this.#options.scheduler.saveTree(encodeTree(nodes));
  }
}

/** Rounded down, before 1970 too. */
function second(timeNs: bigint): bigint {
  const rest = ((timeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return (timeNs - rest) / 1_000_000_000n;
}

function sameIds(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}

function parentOf(path: ByteString): ByteString | undefined {
  if (path === '') return undefined;
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

function outOfOrder(path: ByteString): AppError {
  return new AppError('integrity', `The stream of the volume is out of order at "${toPrintable(path)}"`);
}
