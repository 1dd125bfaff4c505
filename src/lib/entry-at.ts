import { type BigIntStats, readlinkSync } from 'node:fs';
import { type ByteString, toPath } from '../model/byte-string.ts';
import type { Entry, EntryType } from '../model/entry.ts';
import { sparseRuns } from './file-content.ts';
import { listXattrs, unpackDevice } from './posix.ts';

export interface EntryPlace {
  /** The path for system calls. */
  readonly at: ByteString;
  readonly path: ByteString;
  readonly stat: BigIntStats;
}

/** The part of an entry that `stat` gives, without attributes and runs. */
export function plainEntryAt({ at, path, stat }: EntryPlace): Entry {
  const type = typeOf(stat);
  return {
    path,
    type,
    mode: Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mtimeNs: stat.mtimeNs,
    size: type === 'file' ? Number(stat.size) : 0,
    ...typeFields(at, type, stat),
  };
}

/** The rest of it, which takes more time. Throws a system error. */
export function detailsAt(plain: Entry, { at, stat }: EntryPlace): Entry {
  const xattrs = listXattrs(at);
  const dataRuns = plain.type === 'file' ? sparseRuns(at, stat) : undefined;
  if (xattrs.length === 0 && dataRuns === undefined) return plain;
  return {
    ...plain,
    ...(xattrs.length === 0 ? {} : { xattrs: xattrs.sort((one, other) => (one.name < other.name ? -1 : 1)) }),
    ...(dataRuns === undefined ? {} : { dataRuns }),
  };
}

function typeOf(stat: BigIntStats): EntryType {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'dir';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isFIFO()) return 'fifo';
  if (stat.isSocket()) return 'socket';
  return stat.isBlockDevice() ? 'blockdev' : 'chardev';
}

function typeFields(at: ByteString, type: EntryType, stat: BigIntStats): Partial<Entry> {
  if (type === 'symlink') return { linkTarget: readlinkSync(toPath(at), { encoding: 'latin1' }) };
  if (type !== 'chardev' && type !== 'blockdev') return {};
  const { major, minor } = unpackDevice(stat.rdev);
  return { deviceMajor: major, deviceMinor: minor };
}
