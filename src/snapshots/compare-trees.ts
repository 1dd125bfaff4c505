import { comparePaths } from '../lib/compare-paths.ts';
import type { ByteString } from '../model/byte-string.ts';
import type { Entry, EntryType, ExtendedAttribute } from '../model/entry.ts';

/** A difference at one path, from the earlier tree to the later one. */
export interface Change {
  readonly path: ByteString;
  /** `metadata`: owner, mode, times or attributes only. */
  readonly kind: 'added' | 'removed' | 'changed' | 'metadata';
  readonly type: EntryType;
  /** Bytes; undefined unless there is a file. */
  readonly sizeBefore: number | undefined;
  readonly sizeAfter: number | undefined;
  /** The later file's modification time; 0 when there is none. */
  readonly mtimeNsAfter: bigint;
  /** The earlier one's, when both exist. */
  readonly mtimeNsBefore?: bigint;
}

export interface CompareOptions<Before extends Entry, After extends Entry> {
  /** Whether two files of the same size have the same content. */
  readonly isSameContent: (before: Before, after: After) => boolean;
  /** False when one side cannot carry extended attributes. */
  readonly comparesXattrs: boolean;
}

/**
 * The differences between two trees that are walked depth first with names in byte order. Holds one entry of
 * each. Ignores the times of directories: they change with their content.
 */
export async function* compareTrees<Before extends Entry, After extends Entry>(
  trees: { readonly before: AsyncIterable<Before>; readonly after: AsyncIterable<After> },
  options: CompareOptions<Before, After>,
): AsyncGenerator<Change, void, undefined> {
  const before = trees.before[Symbol.asyncIterator]();
  const after = trees.after[Symbol.asyncIterator]();
  try {
    let left = await before.next();
    let right = await after.next();
    while (left.done !== true || right.done !== true) {
      const order =
        left.done === true ? 1 : right.done === true ? -1 : comparePaths(left.value.path, right.value.path);
      if (order < 0 && left.done !== true) yield removed(left.value);
      else if (order > 0 && right.done !== true) yield added(right.value);
      else if (left.done !== true && right.done !== true) {
        const change = changeBetween(left.value, right.value, options);
        if (change !== undefined) yield change;
      }
      if (order <= 0) left = await before.next();
      if (order >= 0) right = await after.next();
    }
  } finally {
    await before.return?.();
    await after.return?.();
  }
}

function removed(entry: Entry): Change {
  return {
    path: entry.path,
    kind: 'removed',
    type: entry.type,
    sizeBefore: sizeOf(entry),
    sizeAfter: undefined,
    mtimeNsAfter: 0n,
  };
}

function added(entry: Entry): Change {
  const { path, type, mtimeNs } = entry;
  return {
    path,
    kind: 'added',
    type,
    sizeBefore: undefined,
    sizeAfter: sizeOf(entry),
    mtimeNsAfter: mtimeNs,
  };
}

function changeBetween<Before extends Entry, After extends Entry>(
  before: Before,
  after: After,
  options: CompareOptions<Before, After>,
): Change | undefined {
  const kind = isSameThing(before, after, options)
    ? isSameMetadata(before, after, options)
      ? undefined
      : 'metadata'
    : 'changed';
  if (kind === undefined) return undefined;
  const { path, type, mtimeNs } = after;
  return {
    ...{ path, kind, type, sizeBefore: sizeOf(before), sizeAfter: sizeOf(after) },
    ...{ mtimeNsAfter: mtimeNs, mtimeNsBefore: before.mtimeNs },
  };
}

function isSameThing<Before extends Entry, After extends Entry>(
  before: Before,
  after: After,
  options: CompareOptions<Before, After>,
): boolean {
  if (before.type !== after.type || before.linkTarget !== after.linkTarget) return false;
  if (before.deviceMajor !== after.deviceMajor || before.deviceMinor !== after.deviceMinor) return false;
  return before.type !== 'file' || (before.size === after.size && options.isSameContent(before, after));
}

function isSameMetadata(before: Entry, after: Entry, options: { readonly comparesXattrs: boolean }): boolean {
  if (before.mode !== after.mode || before.uid !== after.uid || before.gid !== after.gid) return false;
  if (before.type !== 'dir' && before.mtimeNs !== after.mtimeNs) return false;
  // A later name of a hard link carries no attributes of its own.
  if (!options.comparesXattrs || before.hardLinkTo !== undefined || after.hardLinkTo !== undefined)
    return true;
  return isSameAttributes(before.xattrs ?? [], after.xattrs ?? []);
}

function isSameAttributes(
  before: readonly ExtendedAttribute[],
  after: readonly ExtendedAttribute[],
): boolean {
  if (before.length !== after.length) return false;
  const values = new Map(after.map(({ name, value }) => [name, value]));
  return before.every(({ name, value }) => {
    const other = values.get(name);
    return other !== undefined && Buffer.compare(value, other) === 0;
  });
}

function sizeOf(entry: Entry): number | undefined {
  return entry.type === 'file' ? entry.size : undefined;
}
