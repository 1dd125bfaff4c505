import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync } from 'node:fs';
import { type ByteString, toPath, toPrintable } from '../model/byte-string.ts';
import { errnoOf } from '../model/errors.ts';
import { Breather } from './breathe.ts';
import { unpackDevice } from './posix.ts';
import { canScan, DirectoryScanner, type ScanHandlers, type Scanned } from './scan-directory.ts';
import { mountedProblem, type ProblemReporter, readProblem } from './tree-problem.ts';
import { walkTree } from './tree-walk.ts';

interface MeasureTreeOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called for what vanished or cannot be read: it is left out, and the rest is measured. */
  readonly onProblem?: ProblemReporter | undefined;
  /** Called regularly with the counts so far. */
  readonly onProgress?: ((usage: TreeUsage) => void) | undefined;
}

/**
 * The current size of a tree, hard links counted once, without mounts in it. Every entry is examined: a
 * growing file changes no directory, and no kernel notification covers every way to write. Throws as
 * `walkTree` does.
 */
export async function measureTree(root: ByteString, options: MeasureTreeOptions = {}): Promise<TreeUsage> {
  const quick = canScan ? await measureQuickly(root, options) : undefined;
  return quick ?? (await measureByWalk(root, options));
}

/** Each level keeps a directory open: `walkTree` handles deeper trees. */
const deepest = 100;
const openFlags = constants.O_RDONLY | constants.O_DIRECTORY;

/** Undefined where `walkTree` has to do it. */
async function measureQuickly(root: ByteString, options: MeasureTreeOptions): Promise<TreeUsage | undefined> {
  let fd: number;
  try {
    fd = openSync(toPath(root), openFlags);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    // `walkTree` reports the reason.
    return undefined;
  }
  using _open = { [Symbol.dispose]: () => closeSync(fd) };
  const problems: Parameters<ProblemReporter>[0][] = [];
  const measure = new Measure(root, { ...options, onProblem: (problem) => void problems.push(problem) });
  if (!(await measure.run(fd))) return undefined;
  for (const problem of problems) options.onProblem?.(problem);
  return measure.usage;
}

interface Folder {
  readonly fd: number;
  readonly path: ByteString;
  /** The first part of its path. */
  readonly first: ByteString;
  readonly depth: number;
}

class Measure {
  readonly usage = new TreeUsage();
  readonly #options: MeasureTreeOptions;
  readonly #breather: Breather;
  readonly #scanner = new DirectoryScanner();
  readonly #links = new Set<string>();
  #device = '';

  constructor(root: ByteString, options: MeasureTreeOptions) {
    this.#options = options;
    this.#breather = new Breather(`reading "${toPrintable(root)}"`, options.signal);
  }

  /** False when the tree is too deep, or its root cannot be read. */
  async run(fd: number): Promise<boolean> {
    this.#breather.check();
    const { dev, blocks } = fstatSync(fd, { bigint: true });
    const { major, minor } = unpackDevice(dev);
    this.#device = `${major}:${minor}`;
    this.usage.add({ kind: 'dir', bytes: 0, allocatedBytes: Number(blocks) * 512 }, '');
    return await this.#folder({ fd, path: '', first: '', depth: 0 });
  }

  async #folder(folder: Folder): Promise<boolean> {
    if (this.#breather.isDue()) await this.#breather.breathe();
    const below: ByteString[] = [];
    const handlers = this.#handlers(folder, below);
    for (;;) {
      const state = this.#scanner.next(folder.fd, handlers);
      if (state === 'failed') return this.#isExplained(folder);
      if (state === 'end') break;
      if (this.#breather.isDue()) await this.#breather.breathe();
    }
    this.#options.onProgress?.(this.usage);
    for (const name of below) if (!(await this.#below(folder, name))) return false;
    return true;
  }

  #handlers(folder: Folder, below: ByteString[]): ScanHandlers {
    return {
      visit: (found, name) => {
        const isFolder = found.type === typeDirectory;
        const own = isFolder || folder.depth === 0 ? name() : '';
        this.#count(found, folder.depth === 0 ? own : folder.first);
        if (!isFolder) return;
        if (found.device === this.#device) below.push(own);
        else this.#options.onProblem?.(mountedProblem(join(folder.path, own)));
      },
      onFailed: (name) => {
        try {
          // Throws the reason. If there is none any more, the entry was replaced in between.
          lstatSync(toPath(at(folder, name)));
        } catch (error) {
          this.#options.onProblem?.(readProblem(join(folder.path, name), error));
        }
      },
    };
  }

  async #below(folder: Folder, name: ByteString): Promise<boolean> {
    if (folder.depth >= deepest) return false;
    const path = join(folder.path, name);
    let fd: number;
    try {
      fd = openSync(toPath(at(folder, name)), openFlags | constants.O_NOFOLLOW);
    } catch (error) {
      this.#options.onProblem?.(readProblem(path, error));
      return true;
    }
    using _open = { [Symbol.dispose]: () => closeSync(fd) };
    return await this.#folder({ fd, path, first: folder.first || name, depth: folder.depth + 1 });
  }

  #count({ type, links, inode, device, bytes, allocatedBytes }: Scanned, first: ByteString): void {
    if (links > 1 && type !== typeDirectory) {
      const link = `${device}/${inode}`;
      // Another name of a file that was counted.
      if (this.#links.has(link)) return;
      this.#links.add(link);
    }
    const kind = type === typeFile ? 'file' : type === typeDirectory ? 'dir' : 'other';
    const targetBytes = type === typeSymlink ? bytes : 0;
    this.usage.add({ kind, bytes: kind === 'file' ? bytes : 0, targetBytes, allocatedBytes }, first);
  }

  /** Reports why a directory cannot be read to its end. False leaves that to the next attempt. */
  #isExplained(folder: Folder): boolean {
    if (folder.path === '') return false;
    try {
      readdirSync(toPath(at(folder, '.')));
      return false;
    } catch (error) {
      this.#options.onProblem?.(readProblem(folder.path, error));
      return true;
    }
  }
}

const typeDirectory = 0o040000;
const typeFile = 0o100000;
const typeSymlink = 0o120000;

function at({ fd }: Folder, name: ByteString): ByteString {
  return `/proc/self/fd/${fd}/${name}`;
}

function join(folder: ByteString, name: ByteString): ByteString {
  return folder === '' ? name : `${folder}/${name}`;
}

async function measureByWalk(
  root: ByteString,
  { signal, onProblem, onProgress }: MeasureTreeOptions,
): Promise<TreeUsage> {
  const usage = new TreeUsage();
  for await (const { entry, allocatedBytes } of walkTree(root, { signal, onProblem, statOnly: true })) {
    if (entry.hardLinkTo !== undefined) continue;
    const kind = entry.type === 'file' || entry.type === 'dir' ? entry.type : 'other';
    const targetBytes = entry.linkTarget?.length;
    usage.add({ kind, bytes: entry.size, targetBytes, allocatedBytes }, entry.path.split('/', 1)[0] ?? '');
    if (kind === 'file') onProgress?.(usage);
  }
  return usage;
}

/** An entry of a tree, without further names of the same file. */
interface CountedEntry {
  readonly kind: 'file' | 'dir' | 'other';
  /** The length of a file; 0 for anything else. */
  readonly bytes: number;
  /** The length of a symbolic link's target. */
  readonly targetBytes?: number | undefined;
  readonly allocatedBytes: number;
}

export class TreeUsage {
  bytes = 0;
  /** For symbolic links, which are not part of `bytes`. */
  targetBytes = 0;
  allocatedBytes = 0;
  files = 0;
  directories = 0;
  others = 0;
  /** The root's entries, each with everything below it. */
  readonly top = new Map<ByteString, { bytes: number; files: number }>();

  /** `first` is the first part of its path; '' for the root itself. */
  add({ kind, bytes, targetBytes = 0, allocatedBytes }: CountedEntry, first: ByteString): void {
    this.bytes += bytes;
    this.targetBytes += targetBytes;
    this.allocatedBytes += allocatedBytes;
    if (kind === 'dir') this.directories++;
    else if (kind === 'file') this.files++;
    else this.others++;
    if (first === '') return;
    const sum = this.top.get(first) ?? { bytes: 0, files: 0 };
    sum.bytes += bytes;
    if (kind === 'file') sum.files++;
    this.top.set(first, sum);
  }
}
