import { hash } from 'node:crypto';
import { readUserNames } from '../../lib/user-names.ts';
import { packDevice } from '../../lib/posix.ts';
import { type ByteString, toBytes, toPrintable } from '../../model/byte-string.ts';
import type { Entry } from '../../model/entry.ts';
import { AppError } from '../../model/errors.ts';
import { Chunker, minChunkBytes } from '../chunker/chunker.ts';
import { encodeNode, encodeTree, type TreeNode } from '../format/node.ts';
import { plainDirectoryNode } from './root-tree.ts';
import type { SaveScheduler } from './save-scheduler.ts';
import { segmentBytes } from './save-task.ts';
import type { SaveTally } from './save-tally.ts';

export interface StreamSaverOptions {
  readonly scheduler: SaveScheduler;
  readonly tally: SaveTally;
  readonly polynomial: bigint;
  readonly isExcluded: ((path: ByteString, isDirectory: boolean) => boolean) | undefined;
}

export interface StreamedEntry {
  readonly entry: Entry;
  readonly body: AsyncIterable<Uint8Array>;
}

/** A directory whose entries still arrive. */
interface OpenDirectory {
  readonly path: ByteString;
  readonly node: TreeNode;
  readonly children: Map<ByteString, Promise<ByteString>>;
}

/** What has arrived, for later names of the same file. */
interface KnownFile {
  readonly node: TreeNode;
  readonly content: Promise<string[]>;
}

interface PendingFile {
  readonly length: number;
  readonly resolve: (ids: string[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Small files travel to a worker together. */
const parcelBytes = 2 * 1024 * 1024;

/** Saves a stream of entries, depth first, as container engines send them: each directory's tree is put together when the stream leaves it. */
export class StreamSaver {
  readonly #options: StreamSaverOptions;
  readonly #names = readUserNames();
  readonly #chunker: Chunker;
  readonly #stack: OpenDirectory[] = [];
  readonly #known = new Map<ByteString, KnownFile>();
  #parcel: Uint8Array[] = [];
  #parcelFiles: PendingFile[] = [];
  #parcelUsed = 0;

  constructor(options: StreamSaverOptions) {
    this.#options = options;
    this.#chunker = new Chunker(options.polynomial, segmentBytes);
  }

  async save(entries: AsyncIterable<StreamedEntry>): Promise<{ dataTree: string; dataNode: TreeNode }> {
    for await (const { entry, body } of entries) {
      if (this.#isExcluded(entry)) continue;
      await this.#options.scheduler.room();
      await this.#leaveUntil(parentOf(entry.path));
      if (entry.type === 'dir') this.#enter(entry);
      else this.#put(entry.path, (await this.#save(entry, body)).text);
    }
    await this.#leaveUntil('');
    const root = this.#stack.pop();
    if (!root) throw new AppError('integrity', 'The stream of the volume ended before it began');
    this.#sendParcel();
    return { dataTree: await this.#finish(root), dataNode: root.node };
  }

  #isExcluded(entry: Entry): boolean {
    const { isExcluded } = this.#options;
    if (!isExcluded || entry.path === '') return false;
    const parts = entry.path.split('/');
    return parts.some((_, i) =>
      isExcluded(parts.slice(0, i + 1).join('/'), i < parts.length - 1 || entry.type === 'dir'),
    );
  }

  #enter(entry: Entry): void {
    if (entry.path === '' ? this.#stack.length > 0 : this.#stack.length === 0) throw outOfOrder(entry.path);
    if (entry.path !== '') this.#options.tally.countDirectory();
    this.#stack.push({ path: entry.path, node: this.#nodeOf(entry), children: new Map() });
  }

  /** Finishes directories until the innermost open one is `path`. */
  async #leaveUntil(path: ByteString | undefined): Promise<void> {
    for (
      let top = this.#stack.at(-1);
      top && path !== undefined && top.path !== path;
      top = this.#stack.at(-1)
    ) {
      if (top.path === '' || !(path === '' || top.path.startsWith(`${path}/`))) throw outOfOrder(path);
      this.#stack.pop();
      const tree = this.#finish(top);
      tree.catch(() => undefined);
      this.#put(
        top.path,
        tree.then((subtree) => encodeNode({ ...top.node, subtree })),
      );
      await this.#options.scheduler.room();
    }
  }

  #put(path: ByteString, node: Promise<ByteString>): void {
    const directory = this.#stack.at(-1);
    const name = nameOf(path);
    if (!directory || directory.children.has(name)) throw outOfOrder(path);
    node.catch(() => undefined);
    directory.children.set(name, node);
  }

  async #save(entry: Entry, body: AsyncIterable<Uint8Array>): Promise<{ text: Promise<ByteString> }> {
    const { tally } = this.#options;
    const known = entry.hardLinkTo === undefined ? await this.#saveNew(entry, body) : this.#findLinked(entry);
    this.#known.set(entry.path, known);
    if (known.node.type === 'file') tally.countFile('new', known.node.size, entry.path);
    else tally.countOther();
    return {
      text: known.content.then((content) => encodeNode({ ...known.node, name: nameOf(entry.path), content })),
    };
  }

  async #saveNew(entry: Entry, body: AsyncIterable<Uint8Array>): Promise<KnownFile> {
    const node = this.#nodeOf(entry);
    const content =
      entry.type === 'file' ? await this.#saveBody(entry, body) : { pending: Promise.resolve([]) };
    content.pending.catch(() => undefined);
    return { node, content: content.pending };
  }

  #findLinked(entry: Entry): KnownFile {
    const known = this.#known.get(entry.hardLinkTo ?? '');
    if (!known) {
      throw new AppError(
        'integrity',
        `The stream links "${entry.path}" to "${entry.hardLinkTo}", which it has not sent`,
      );
    }
    return known;
  }

  /** Reads a body to its end. The ids follow when the workers have stored it. */
  async #saveBody(entry: Entry, body: AsyncIterable<Uint8Array>): Promise<{ pending: Promise<string[]> }> {
    const { buffer } = this.#chunker;
    const ids: Promise<string[]>[] = [];
    let used = 0;
    const store = async (isLast: boolean): Promise<void> => {
      const lengths = this.#cut(used, isLast);
      const covered = lengths.reduce((sum, length) => sum + length, 0);
      if (covered > 0) ids.push((await this.#send(new Uint8Array(buffer.subarray(0, covered)), lengths)).ids);
      buffer.copyWithin(0, covered, used);
      used -= covered;
    };
    let total = 0;
    for await (const chunk of withHoles(entry, body)) {
      total += chunk.length;
      for (let from = 0; from < chunk.length;) {
        const count = Math.min(chunk.length - from, buffer.length - used);
        buffer.set(chunk.subarray(from, from + count), used);
        used += count;
        from += count;
        if (used === buffer.length) await store(false);
      }
    }
    if (total !== entry.size) throw new AppError('integrity', `The stream cut "${entry.path}" short`);
    if (ids.length === 0 && used <= minChunkBytes)
      return { pending: this.#addToParcel(new Uint8Array(buffer.subarray(0, used))) };
    if (used > 0) await store(true);
    const pending = Promise.all(ids).then((parts) => parts.flat());
    return { pending };
  }

  #cut(used: number, isLast: boolean): number[] {
    const lengths: number[] = [];
    for (let at = 0; at < used;) {
      const end = this.#chunker.findEnd(at, used, isLast);
      if (end === undefined) break;
      lengths.push(end - at);
      at = end;
    }
    return lengths;
  }

  async #send(
    content: Uint8Array<ArrayBuffer>,
    lengths: readonly number[],
  ): Promise<{ ids: Promise<string[]> }> {
    const { scheduler } = this.#options;
    await scheduler.room();
    const sent = scheduler.run(
      { kind: 'blobs', type: 'data', content, lengths },
      { transfer: [content.buffer] },
    );
    const ids = sent.then((result) => result.ids as string[]);
    ids.catch(() => undefined);
    return { ids };
  }

  #addToParcel(content: Uint8Array): Promise<string[]> {
    if (content.length === 0) return Promise.resolve([]);
    const { promise, resolve, reject } = Promise.withResolvers<string[]>();
    this.#parcel.push(content);
    this.#parcelFiles.push({ length: content.length, resolve, reject });
    this.#parcelUsed += content.length;
    if (this.#parcelUsed >= parcelBytes) this.#sendParcel();
    return promise;
  }

  #sendParcel(): void {
    const files = this.#parcelFiles;
    if (files.length === 0) return;
    const content = new Uint8Array(Buffer.concat(this.#parcel));
    this.#parcel = [];
    this.#parcelFiles = [];
    this.#parcelUsed = 0;
    const lengths = files.map(({ length }) => length);
    this.#options.scheduler
      .run({ kind: 'blobs', type: 'data', content, lengths }, { transfer: [content.buffer] })
      .then(
        ({ ids }) => files.forEach(({ resolve }, i) => resolve([ids[i] ?? ''])),
        (error: unknown) => files.forEach(({ reject }) => reject(error)),
      );
  }

  async #finish(directory: OpenDirectory): Promise<string> {
    const names = [...directory.children.keys()].sort();
    const nodes = await Promise.all(names.map(async (name) => (await directory.children.get(name)) ?? ''));
    return await this.#options.scheduler.saveTree(toBytes(encodeTree(nodes)));
  }

  #nodeOf(entry: Entry): TreeNode {
    const isDirectory = entry.type === 'dir';
    const { deviceMajor = 0, deviceMinor = 0 } = entry;
    return {
      ...plainDirectoryNode,
      name: nameOf(entry.path),
      type: entry.type,
      mode: entry.mode,
      mtimeNs: entry.mtimeNs,
      atimeNs: entry.mtimeNs,
      uid: entry.uid,
      gid: entry.gid,
      user: this.#names.user(entry.uid),
      group: this.#names.group(entry.gid),
      size: entry.size,
      // A stream tells of a file's other names only later: every file is written as if it had one, under a number of its own.
      inode: isDirectory ? 0n : inodeOf(entry.path),
      deviceId: isDirectory ? 0n : 1n,
      links: isDirectory ? 0 : 2,
      linkTarget: entry.linkTarget,
      xattrs: entry.xattrs ?? [],
      dataRuns: entry.dataRuns,
      device: packDevice(deviceMajor, deviceMinor),
    };
  }
}

/** The bytes of a file as a program reads it: a sparse file's stream has its data only. */
async function* withHoles(entry: Entry, body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  if (entry.dataRuns === undefined) {
    yield* body;
    return;
  }
  const runs = [...entry.dataRuns];
  let position = 0;
  let run = runs.shift();
  for await (let chunk of body) {
    while (chunk.length > 0 && run) {
      yield* zeros(run.offset - position);
      position = Math.max(position, run.offset);
      const part = chunk.subarray(0, run.offset + run.length - position);
      yield part;
      position += part.length;
      chunk = chunk.subarray(part.length);
      if (position === run.offset + run.length) run = runs.shift();
    }
  }
  yield* zeros(entry.size - position);
}

const zeroBlock = new Uint8Array(1024 * 1024);

function* zeros(length: number): Iterable<Uint8Array> {
  for (let left = length; left > 0; left -= zeroBlock.length)
    yield zeroBlock.subarray(0, Math.min(left, zeroBlock.length));
}

/** Always the same for a path, so that an unchanged directory has an unchanged tree. */
function inodeOf(path: ByteString): bigint {
  return hash('sha256', toBytes(path), 'buffer').readBigUInt64LE() >> 1n;
}

function parentOf(path: ByteString): ByteString | undefined {
  if (path === '') return undefined;
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

function nameOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1);
}

function outOfOrder(path: ByteString): AppError {
  return new AppError('integrity', `The stream of the volume is out of order at "${toPrintable(path)}"`);
}
