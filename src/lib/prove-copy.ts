import { closeSync, read } from 'node:fs';
import { promisify } from 'node:util';
import { type ByteString, toPrintable } from '../model/byte-string.ts';
import type { DataRun, Entry, ExtendedAttribute } from '../model/entry.ts';
import { AppError } from '../model/errors.ts';
import { comparePaths } from './compare-paths.ts';
import type { TreeProblem } from './tree-problem.ts';
import { walkTree, type WalkedEntry } from './tree-walk.ts';

export interface ProveOptions {
  readonly signal?: AbortSignal | undefined;
  /** Nobody writes to either side: they have to be alike in everything. Otherwise only what has not changed has to be. */
  readonly isStill: boolean;
  /** True for what is in the source as it was when it was copied. */
  readonly isUnchanged: (from: WalkedEntry) => boolean;
  /** True for files whose content was compared before, as they both are now. */
  readonly isProven: (from: WalkedEntry, to: WalkedEntry) => boolean;
  readonly onProven: (from: WalkedEntry, to: WalkedEntry) => void;
}

const readAsync = promisify(read);
const blockBytes = 1 << 20;

/** Throws `integrity` unless one directory is the exact copy of the other: names, kinds, metadata, hard links, every byte. */
export async function proveCopy(from: ByteString, to: ByteString, options: ProveOptions): Promise<void> {
  const { signal, isStill } = options;
  const onProblem = ({ message }: TreeProblem): void => {
    if (isStill) throw new AppError('failed', message);
  };
  const left = walkTree(from, { signal, onProblem });
  const right = walkTree(to, { signal, onProblem });
  const buffers = { left: Buffer.allocUnsafe(blockBytes), right: Buffer.allocUnsafe(blockBytes) };
  try {
    let [one, other] = [await left.next(), await right.next()];
    while (one.done !== true || other.done !== true) {
      const order =
        one.done === true
          ? 1
          : other.done === true
            ? -1
            : comparePaths(one.value.entry.path, other.value.entry.path);
      if (order === 0 && one.done !== true && other.done !== true)
        await proveOne(one.value, other.value, { ...options, buffers });
      else if (isStill) {
        const lone = order < 0 ? one.value : other.value;
        throw differs(lone?.entry.path ?? '', order < 0 ? 'it is missing' : 'it is not to be there');
      }
      if (order <= 0) one = await left.next();
      if (order >= 0) other = await right.next();
    }
  } finally {
    await left.return();
    await right.return();
  }
}

interface Prover extends ProveOptions {
  readonly buffers: { readonly left: Buffer; readonly right: Buffer };
}

async function proveOne(from: WalkedEntry, to: WalkedEntry, prover: Prover): Promise<void> {
  // Directories change whenever something comes or goes in them.
  if (!prover.isStill && (!prover.isUnchanged(from) || from.entry.type === 'dir')) return;
  const { path, type, hardLinkTo } = from.entry;
  const difference = factThatDiffers(from.entry, to.entry);
  if (difference !== undefined) throw differs(path, `${difference} differs`);
  if (type !== 'file' || hardLinkTo !== undefined || prover.isProven(from, to)) return;
  const isSame = await hasSameContent(from, to, prover);
  if (isSame === undefined && !prover.isStill) return;
  if (isSame !== true) throw differs(path, 'its content differs');
  prover.onProven(from, to);
}

function differs(path: ByteString, words: string): AppError {
  return new AppError(
    'integrity',
    `The copy of "${toPrintable(path === '' ? '.' : path)}" is not right: ${words}`,
  );
}

/** In words; undefined when all that is compared is the same. */
function factThatDiffers(one: Entry, other: Entry): string | undefined {
  if (one.type !== other.type) return 'its kind';
  if (one.size !== other.size) return 'its size';
  if (one.mode !== other.mode) return 'its mode';
  if (one.uid !== other.uid || one.gid !== other.gid) return 'its owner';
  if (one.mtimeNs !== other.mtimeNs) return 'its time';
  if (one.linkTarget !== other.linkTarget) return 'its target';
  if (one.hardLinkTo !== other.hardLinkTo) return 'what it is linked with';
  if (one.deviceMajor !== other.deviceMajor || one.deviceMinor !== other.deviceMinor) return 'its device';
  return isSameAttributes(one.xattrs, other.xattrs) ? undefined : 'an attribute';
}

function isSameAttributes(
  one: readonly ExtendedAttribute[] = [],
  other: readonly ExtendedAttribute[] = [],
): boolean {
  const counted = (all: readonly ExtendedAttribute[]): Map<ByteString, Uint8Array> =>
    new Map(all.filter(({ name }) => name !== 'security.selinux').map(({ name, value }) => [name, value]));
  const [left, right] = [counted(one), counted(other)];
  if (left.size !== right.size) return false;
  return [...left].every(([name, value]) => {
    const found = right.get(name);
    return found !== undefined && Buffer.compare(value, found) === 0;
  });
}

/** Undefined when it became shorter while it was read, or is gone. */
async function hasSameContent(
  from: WalkedEntry,
  to: WalkedEntry,
  { buffers, signal, isStill }: Prover,
): Promise<boolean | undefined> {
  let left: number;
  try {
    left = from.openFile();
  } catch (error) {
    if (isStill) throw error;
    return undefined;
  }
  try {
    const right = to.openFile();
    try {
      for (const run of runsOfEither(from.entry, to.entry)) {
        for (let at = run.offset; at < run.offset + run.length; at += blockBytes) {
          if (signal?.aborted === true) throw new AppError('cancelled', 'Cancelled while comparing');
          const length = Math.min(blockBytes, run.offset + run.length - at);
          const one = await readFully(left, buffers.left.subarray(0, length), at);
          const other = await readFully(right, buffers.right.subarray(0, length), at);
          if (one < length) return undefined;
          if (other < length || buffers.left.compare(buffers.right, 0, length, 0, length) !== 0) return false;
        }
      }
      return true;
    } finally {
      closeSync(right);
    }
  } finally {
    closeSync(left);
  }
}

/** Where either has data: all the rest is holes in both. */
function runsOfEither(one: Entry, other: Entry): DataRun[] {
  const whole = [{ offset: 0, length: one.size }];
  if (one.dataRuns === undefined || other.dataRuns === undefined) return whole;
  const merged: { offset: number; length: number }[] = [];
  for (const run of [...one.dataRuns, ...other.dataRuns].sort((a, b) => a.offset - b.offset)) {
    const last = merged.at(-1);
    if (last === undefined || run.offset > last.offset + last.length) merged.push({ ...run });
    else last.length = Math.max(last.length, run.offset + run.length - last.offset);
  }
  return merged;
}

async function readFully(fd: number, buffer: Buffer, at: number): Promise<number> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await readAsync(fd, buffer, filled, buffer.length - filled, at + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}
