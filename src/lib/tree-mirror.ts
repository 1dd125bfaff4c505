import { closeSync, openSync, rmdirSync, unlinkSync } from 'node:fs';
import { type ByteString, toPath, toPrintable } from '../model/byte-string.ts';
import type { EntryType } from '../model/entry.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { copyFile } from './copy-tree.ts';
import { OpenDirectories } from './open-directories.ts';
import { knownError } from './known-error.ts';
import { listXattrs, removeXattr, syncFilesystemLater } from './posix.ts';
import { proveCopy } from './prove-copy.ts';
import type { TreeProblem } from './tree-problem.ts';
import { walkTree, type WalkedEntry } from './tree-walk.ts';
import { type TreeProgress, TreeWriter } from './tree-writer.ts';

export interface MirrorOptions {
  readonly signal?: AbortSignal | undefined;
  /** Counts of everything that was copied, in all passes. */
  readonly onProgress?: ((progress: TreeProgress) => void) | undefined;
}

export interface MirrorPass {
  /** What was copied in it. */
  readonly bytes: number;
  readonly files: number;
  readonly durationMs: number;
}

/** Younger changes are not trusted: a page that is dirty already can be written to without a trace. */
const restlessMs = 1000;
const maxDriftMs = 250;

/**
 * Makes a directory the exact copy of another that may be in use meanwhile: pass by pass, each of which copies only
 * what has changed since. The target is empty at first, on a file system or in a folder of its own, and nobody else
 * touches it.
 *
 * What cannot be carried as it is ends the work: an attribute that the target has no form for is an error and no remark.
 */
export class TreeMirror {
  readonly #from: ByteString;
  readonly #to: ByteString;
  readonly #options: MirrorOptions;
  /** What is in the target. */
  #known = new Map<ByteString, Known>();
  /** What was compared byte for byte, as both sides were then. */
  readonly #proven = new Map<ByteString, string>();
  #isFirst = true;
  #done: TreeProgress = { bytes: 0, files: 0 };

  constructor(from: ByteString, to: ByteString, options: MirrorOptions = {}) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
  }

  /** `isStill`: nobody writes to the source, so nothing may change or vanish while it is read. */
  async pass({ isStill }: { readonly isStill: boolean }): Promise<MirrorPass> {
    const began = performance.now();
    const quiet = await lookSince(this.#from);
    const before = this.#done;
    {
      using places = new OpenDirectories(this.#to, { isStaged: false });
      using writer = this.#openWriter(isStill);
      const pass: Pass = {
        places,
        writer,
        isStill,
        seen: new Map(),
        lost: new Set(),
        isQuiet: quiet.isQuiet,
      };
      const onProblem = problemHandler(isStill);
      for await (const walked of walkTree(this.#from, { ...this.#options, onProblem }))
        await this.#mirrorOne(pass, walked);
      this.#removeGone(pass);
      const { bytes, files } = await writer.finish();
      this.#done = { bytes: before.bytes + bytes, files: before.files + files };
      this.#known = quiet.isClockSteady() ? pass.seen : withoutTrust(pass.seen);
    }
    this.#isFirst = false;
    const { bytes, files } = this.#done;
    return {
      bytes: bytes - before.bytes,
      files: files - before.files,
      durationMs: performance.now() - began,
    };
  }

  /**
   * Compares both sides in all facts and byte for byte. What was compared before and has not changed since on either
   * side is not read again. `integrity` when they differ; while the source is in use, what changes is passed over.
   */
  async prove({ isStill }: { readonly isStill: boolean }): Promise<void> {
    await proveCopy(this.#from, this.#to, {
      isStill,
      signal: this.#options.signal,
      isUnchanged: (walked) => {
        const known = this.#known.get(walked.entry.path)?.signature;
        return known !== undefined && known === signatureOf(walked);
      },
      isProven: (from, to) => this.#proven.get(from.entry.path) === pairOf(from, to),
      onProven: (from, to) => {
        if (this.#known.get(from.entry.path)?.signature === signatureOf(from))
          this.#proven.set(from.entry.path, pairOf(from, to));
      },
    });
  }

  #openWriter(isStill: boolean): TreeWriter {
    const { signal, onProgress } = this.#options;
    const before = this.#done;
    return new TreeWriter(this.#to, {
      signal,
      onProblem: problemHandler(isStill),
      onProgress: ({ bytes, files }) =>
        onProgress?.({ bytes: before.bytes + bytes, files: before.files + files }),
      // Later, directories may have default ACLs that what is made in them would inherit.
      isStaged: this.#isFirst,
    });
  }

  async #mirrorOne(pass: Pass, walked: WalkedEntry): Promise<void> {
    const { entry } = walked;
    const { path, type, hardLinkTo } = entry;
    const before = this.#known.get(path);
    const now = signatureOf(walked);
    const signature = pass.isQuiet(walked.changedNs) || pass.isStill ? now : undefined;
    if (type === 'dir') {
      if (before !== undefined && before.type !== 'dir') this.#remove(pass, path);
      else if (before !== undefined && before.signature !== now) removeOtherXattrs(pass.places, walked);
      await pass.writer.add(entry);
    } else if (before?.signature !== now) {
      if (before !== undefined) this.#remove(pass, path);
      if (hardLinkTo !== undefined) {
        if (pass.lost.has(hardLinkTo)) return void pass.lost.add(path);
        await pass.writer.add(entry);
      } else if (type !== 'file') await pass.writer.add(entry);
      else if (!(await copyFile(walked, pass.writer, { onProblem: problemHandler(pass.isStill) })))
        return void pass.lost.add(path);
    }
    pass.seen.set(path, { type, signature });
  }

  /** What the source has no more, the deepest first. */
  #removeGone({ seen, places }: Pass): void {
    const gone = [...this.#known].filter(([path]) => !seen.has(path));
    removeAll(places, gone);
    for (const [path] of gone) this.#proven.delete(path);
  }

  /** With all that is below it, where it was a directory. */
  #remove({ places }: Pass, path: ByteString): void {
    const known = this.#known.get(path);
    const below =
      known?.type === 'dir' ? [...this.#known].filter(([other]) => other.startsWith(`${path}/`)) : [];
    removeAll(places, known === undefined ? below : [[path, known], ...below]);
    for (const [other] of below) this.#known.delete(other);
    this.#known.delete(path);
  }
}

interface Known {
  readonly type: EntryType;
  /** Undefined for what may have changed since without a trace. */
  readonly signature: string | undefined;
}

interface Pass {
  readonly places: OpenDirectories;
  readonly writer: TreeWriter;
  readonly isStill: boolean;
  readonly seen: Map<ByteString, Known>;
  /** Files that were gone before they could be read, or are hard links to such. */
  readonly lost: Set<ByteString>;
  readonly isQuiet: (changedNs: bigint) => boolean;
}

interface Look {
  /** True for what was changed long enough before: whatever is written to it from now on leaves a trace in its times. */
  readonly isQuiet: (changedNs: bigint) => boolean;
  /** False when the clock was set since, so that times tell nothing. */
  readonly isClockSteady: () => boolean;
}

/** Has everything written down first, so that the kernel notes the next write through a memory map. */
async function lookSince(root: ByteString): Promise<Look> {
  const startMs = Date.now();
  const offset = startMs - performance.now();
  const fd = openSync(toPath(root), 'r');
  try {
    if (!(await syncFilesystemLater(fd)))
      throw new AppError('failed', 'The disk reports an error while the data is written down');
  } finally {
    closeSync(fd);
  }
  const limit = BigInt(startMs - restlessMs) * 1_000_000n;
  return {
    isQuiet: (changedNs) => changedNs < limit,
    isClockSteady: () => Math.abs(Date.now() - performance.now() - offset) < maxDriftMs,
  };
}

function withoutTrust(seen: ReadonlyMap<ByteString, Known>): Map<ByteString, Known> {
  return new Map([...seen].map(([path, { type }]) => [path, { type, signature: undefined }]));
}

function signatureOf({ entry, inode, changedNs }: WalkedEntry): string {
  const { type, mode, uid, gid, mtimeNs, size, hardLinkTo = '' } = entry;
  return [type, inode, changedNs, mtimeNs, size, mode, uid, gid, hardLinkTo].join(':');
}

function pairOf(from: WalkedEntry, to: WalkedEntry): string {
  return `${signatureOf(from)}|${signatureOf(to)}`;
}

/** While the source is in use, things vanish and change: the next pass sees to them. */
function problemHandler(isStill: boolean): (problem: TreeProblem) => void {
  return ({ reason, message }) => {
    if (!isStill && (reason === 'vanished' || reason === 'changed')) return;
    throw new AppError(reason === 'unsupported' || reason === 'metadata' ? 'unsupported' : 'failed', message);
  };
}

/** Attributes that a directory has no more; files are made anew. */
function removeOtherXattrs(places: OpenDirectories, { entry }: WalkedEntry): void {
  using handle = places.resolve(entry.path);
  const wanted = new Set((entry.xattrs ?? []).map(({ name }) => name));
  for (const { name } of listXattrs(handle.at('.')))
    if (!wanted.has(name) && name !== 'security.selinux') removeXattr(handle.at('.'), name);
}

function removeAll(places: OpenDirectories, gone: readonly (readonly [ByteString, Known])[]): void {
  const deepestFirst = [...gone].sort(([one], [other]) => (one < other ? 1 : -1));
  for (const [path, { type }] of deepestFirst) {
    const slash = path.lastIndexOf('/');
    using parent = places.resolve(slash === -1 ? '' : path.slice(0, slash));
    const at = toPath(parent.at(path.slice(slash + 1)));
    try {
      if (type === 'dir') rmdirSync(at);
      else unlinkSync(at);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw knownError(error, `Cannot remove "${toPrintable(path)}"`);
    }
  }
}
