import { closeSync, constants, fstatSync } from 'node:fs';
import { type ByteString, toPrintable } from '../../model/byte-string.ts';
import type { Entry } from '../../model/entry.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { applyMetadata } from '../../lib/apply-metadata.ts';
import { copyFile } from './copy-tree.ts';
import { knownError } from '../../lib/known-error.ts';
import { type Match, matchContent } from './match-content.ts';
import type { OpenDirectories } from '../../lib/open-directories.ts';
import { openRegularPath } from '../../lib/open-regular.ts';
import { type CodeBook, pieceBytes } from './piece-codes.ts';
import { listXattrs, removeXattr, setTimes } from '../../lib/posix.ts';
import { differs, proveFacts } from './prove-copy.ts';
import { removeTree } from '../../lib/remove-tree.ts';
import type { LedgerLine, LedgerReader, TreeLedger } from './tree-ledger.ts';
import { readProblem, type TreeProblem } from '../../lib/tree-problem.ts';
import type { WalkedEntry } from '../../lib/tree-walk.ts';
import type { TreeWriter } from '../../lib/tree-writer.ts';

export interface PassOptions {
  readonly signal: AbortSignal | undefined;
  readonly places: OpenDirectories;
  readonly writer: TreeWriter;
  /** What is in the target, from the previous pass. */
  readonly before: LedgerReader | undefined;
  readonly ledger: TreeLedger;
  readonly codes: CodeBook;
  /** The source is not written to: nothing may change or vanish while it is read. */
  readonly isStill: boolean;
  /** True for an entry whose last change is so old that the next one leaves a trace. */
  readonly isQuiet: (changedNs: bigint) => boolean;
  /** False when the clock was set during the previous pass: times prove nothing. */
  readonly trustsTimes: boolean;
  readonly onPatched: (bytes: number) => void;
}

/** From this size on, a file is mended in place, and its pieces are remembered. */
const largeBytes = 4 * pieceBytes;

/**
 * One walk through the source, compared with what is known of the target. Copies what has changed, and reads
 * it back to compare it at once: a line with a signature stands for a proven entry that cannot have changed
 * unseen since.
 */
export class MirrorPass {
  readonly #options: PassOptions;
  /** Files that were gone before they could be read, and hard links to them. */
  readonly #lost = new Set<ByteString>();
  /** The parent directories of the walk's current entry. */
  readonly #way: { readonly path: ByteString; readonly mtimeNs: bigint }[] = [];
  readonly #made: Entry[] = [];
  /** Directories whose times changed through work in them. */
  readonly #touched = new Map<ByteString, bigint>();

  constructor(options: PassOptions) {
    this.#options = options;
  }

  async take(walked: WalkedEntry): Promise<void> {
    const { entry, inode, changedNs } = walked;
    const { path, type } = entry;
    await this.#removeBefore(path);
    while (this.#way.length > 0 && !isWithin(path, this.#way.at(-1)?.path ?? '')) this.#way.pop();
    const before = this.#options.before?.takeAt(path);
    const now = signatureOf(walked);
    const isSame = this.#options.trustsTimes && before?.signature === now;
    const isKept = isSame || (await this.#mirror(walked, before));
    if (type === 'dir') this.#way.push({ path, mtimeNs: entry.mtimeNs });
    if (isKept === 'lost') return;
    if (isKept === 'changed' && this.#options.isStill) throw movesStill(path);
    const isTrusted =
      isSame || (isKept === 'proven' && (this.#options.isStill || this.#options.isQuiet(changedNs)));
    const isLink = entry.hardLinkTo !== undefined;
    const signature = isTrusted ? now : '';
    this.#options.ledger.add({ path, isDirectory: type === 'dir', isLink, inode, signature });
  }

  /** Returns the directories in which something changed. */
  async finish(): Promise<Set<ByteString>> {
    const { writer, places } = this.#options;
    await this.#removeBefore(undefined);
    await writer.finish();
    for (const [path, mtimeNs] of this.#touched)
      setTimes(places.enter(path, { create: false }).handle.at('.'), mtimeNs);
    for (const entry of this.#made) proveFacts(places, entry);
    return new Set([...this.#made.map(({ path }) => path), ...this.#touched.keys()]);
  }

  async #mirror(walked: WalkedEntry, before: LedgerLine | undefined): Promise<'proven' | 'changed' | 'lost'> {
    const { path, type, hardLinkTo } = walked.entry;
    const entry = this.#wholeOf(walked);
    if (entry === undefined || (hardLinkTo !== undefined && this.#lost.has(hardLinkTo))) {
      if (before !== undefined) await this.#remove(before);
      this.#lost.add(path);
      return 'lost';
    }
    if (type === 'dir') return await this.#mirrorDirectory(entry, before);
    this.#touch(path);
    if (type === 'file' && hardLinkTo === undefined) return await this.#mirrorFile(walked, entry, before);
    if (before !== undefined) await this.#remove(before);
    await this.#options.writer.add(entry);
    proveFacts(this.#options.places, entry);
    return 'proven';
  }

  async #mirrorDirectory(entry: Entry, before: LedgerLine | undefined): Promise<'proven'> {
    const { places, writer } = this.#options;
    if (before?.isDirectory === false) await this.#remove(before);
    else if (before !== undefined)
      removeOtherXattrs(places.enter(entry.path, { create: false }).handle.at('.'), entry);
    if (before?.isDirectory !== true && entry.path !== '') this.#touch(entry.path);
    await writer.add(entry);
    this.#made.push(entry);
    return 'proven';
  }

  async #mirrorFile(
    walked: WalkedEntry,
    entry: Entry,
    before: LedgerLine | undefined,
  ): Promise<'proven' | 'changed' | 'lost'> {
    const { places, codes } = this.#options;
    const isLarge = entry.size >= largeBytes;
    if (isLarge && before?.isDirectory === false && !before.isLink && before.inode === walked.inode) {
      const patched = await this.#compare(walked, entry, { mends: true });
      if (patched === 'lost') return await this.#lose(entry.path, before);
      if (patched !== 'changed') {
        proveFacts(places, entry);
        return patched === 'proven' ? 'proven' : 'changed';
      }
    }
    codes.forget(entry.path);
    if (before !== undefined) await this.#remove(before);
    const isThere = await copyFile({ ...walked, entry }, this.#options.writer, { onProblem: this.onProblem });
    if (!isThere) return await this.#lose(entry.path, undefined);
    proveFacts(places, entry);
    const compared = await this.#compare(walked, entry, { mends: false });
    return compared === 'proven' ? 'proven' : 'changed';
  }

  async #lose(path: ByteString, before: LedgerLine | undefined): Promise<'lost'> {
    if (before !== undefined) await this.#remove(before);
    this.#lost.add(path);
    return 'lost';
  }

  /** `restless`: the contents are the same, but the source has changed since it was looked at. */
  async #compare(
    walked: WalkedEntry,
    entry: Entry,
    { mends }: { readonly mends: boolean },
  ): Promise<'proven' | 'restless' | 'changed' | 'lost'> {
    const { signal, codes, isStill, isQuiet, onPatched } = this.#options;
    using files = new DisposableStack();
    let from: number;
    try {
      from = files.adopt(walked.openFile(), closeSync);
    } catch (error) {
      this.onProblem(readProblem(entry.path, error));
      return 'lost';
    }
    const to = this.#openCopy(entry.path, mends);
    if (to === undefined) return 'changed';
    files.adopt(to, closeSync);
    let match: Match;
    try {
      const known = entry.size >= largeBytes ? codes.file(entry.path) : undefined;
      match = await matchContent({ from, to, entry }, { signal, mends, codes: known });
      if (mends && match.isSame) this.#mendMetadata(to, entry);
    } catch (error) {
      throw knownError(error, 'Cannot copy what has changed');
    }
    onPatched(match.writtenBytes);
    const now = fstatSync(from, { bigint: true });
    const isSteady = now.ctimeNs === walked.changedNs && Number(now.size) === entry.size;
    if (match.isSame) return isSteady ? 'proven' : 'restless';
    if (!mends && (isStill || (isSteady && isQuiet(walked.changedNs))))
      throw differs(entry.path, 'its content differs');
    return 'changed';
  }

  /** Undefined for one that must not be written to, or is no file. */
  #openCopy(path: ByteString, mends: boolean): number | undefined {
    try {
      // A freed inode is reused: the name may now be a symbolic link or a device, which is not even opened.
      return openRegularPath(this.#at(path), mends ? constants.O_RDWR : constants.O_RDONLY).fd;
    } catch (error) {
      if (mends && ['EACCES', 'ELOOP', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return undefined;
      throw knownError(error, 'Cannot read back what was copied');
    }
  }

  #mendMetadata(fd: number, entry: Entry): void {
    const at = this.#at(entry.path);
    removeOtherXattrs(at, entry);
    applyMetadata({ at, fd }, entry, this.onProblem);
  }

  #at(path: ByteString): ByteString {
    const { handle } = this.#options.places.enter(parentOf(path), { create: false });
    return handle.at(path.slice(path.lastIndexOf('/') + 1));
  }

  /** Removes what the source no longer has. */
  async #removeBefore(path: ByteString | undefined): Promise<void> {
    const { before } = this.#options;
    for (let gone = before?.takeBefore(path); gone !== undefined; gone = before?.takeBefore(path)) {
      this.#touch(gone.path);
      await this.#remove(gone);
    }
  }

  /** Includes everything below it, if it was a directory. */
  async #remove(gone: LedgerLine): Promise<void> {
    const { path } = gone;
    const { before, codes, places } = this.#options;
    for (let line: LedgerLine | undefined = gone; line !== undefined; line = before?.takeBelow(path))
      codes.forget(line.path);
    places.forget(path);
    await removeTree(this.#at(path));
  }

  #touch(path: ByteString): void {
    const parent = parentOf(path);
    const directory = this.#way.findLast((one) => one.path === parent);
    if (directory !== undefined) this.#touched.set(parent, directory.mtimeNs);
  }

  #wholeOf(walked: WalkedEntry): Entry | undefined {
    try {
      return walked.whole();
    } catch (error) {
      this.onProblem(readProblem(walked.entry.path, error));
      return undefined;
    }
  }

  /** While the source is in use, entries vanish and change: the next pass handles them. */
  readonly onProblem = ({ reason, message }: TreeProblem): void => {
    if (!this.#options.isStill && (reason === 'vanished' || reason === 'changed')) return;
    throw new AppError(reason === 'unsupported' || reason === 'metadata' ? 'unsupported' : 'failed', message);
  };
}

function movesStill(path: ByteString): AppError {
  return new AppError('in-use', `"${toPrintable(path)}" was written to while it was not to be in use`, {
    hint: 'Find out which program of this machine writes to it.',
  });
}

function signatureOf({ entry, inode, changedNs }: WalkedEntry): string {
  const { type, mode, uid, gid, mtimeNs, size, hardLinkTo = '' } = entry;
  return [type, inode, changedNs, mtimeNs, size, mode, uid, gid, hardLinkTo].join(':');
}

/** Removes attributes that the source entry no longer has. */
function removeOtherXattrs(at: ByteString, entry: Entry): void {
  const wanted = new Set((entry.xattrs ?? []).map(({ name }) => name));
  for (const { name } of listXattrs(at))
    if (!wanted.has(name) && name !== 'security.selinux') removeXattr(at, name);
}

function parentOf(path: ByteString): ByteString {
  const slash = path.lastIndexOf('/');
  return slash === -1 ? '' : path.slice(0, slash);
}

function isWithin(path: ByteString, directory: ByteString): boolean {
  return directory === '' || path === directory || path.startsWith(`${directory}/`);
}
