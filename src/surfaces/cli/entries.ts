import { type ByteString, toPrintable, toText } from '../../model/byte-string.ts';
import type { EntryType } from '../../model/entry.ts';
import { formatTable } from './table.ts';
import { localTime } from '../../model/local-time.ts';

/** A listed file, of a volume or a snapshot. */
export interface ShownEntry {
  readonly name: ByteString;
  readonly type: EntryType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** RFC 3339. */
  readonly modifiedAt: string;
  readonly linkTarget?: ByteString | undefined;
}

/** As `ls -l` does. */
export function formatEntries(entries: readonly ShownEntry[]): string {
  if (entries.length === 0) return '';
  return formatTable(entries, [
    { title: 'MODE', value: (entry) => formatMode(entry) },
    { title: 'OWNER', value: (entry) => `${entry.uid}:${entry.gid}` },
    { title: 'SIZE', value: (entry) => (entry.type === 'file' ? String(entry.size) : ''), align: 'right' },
    { title: 'MODIFIED', value: (entry) => localTime(entry.modifiedAt) },
    { title: 'NAME', value: (entry) => shownName(entry) },
  ]);
}

export function entryAsJson(entry: ShownEntry): object {
  return {
    name: toText(entry.name),
    type: entry.type,
    mode: entry.mode.toString(8).padStart(4, '0'),
    uid: entry.uid,
    gid: entry.gid,
    size: entry.size,
    modifiedAt: entry.modifiedAt,
    ...(entry.linkTarget === undefined ? {} : { linkTarget: toText(entry.linkTarget) }),
  };
}

function shownName(entry: ShownEntry): string {
  const name = toPrintable(entry.name);
  if (entry.linkTarget !== undefined) return `${name} -> ${toPrintable(entry.linkTarget)}`;
  return entry.type === 'dir' ? `${name}/` : name;
}

const letters: Readonly<Record<EntryType, string>> = {
  file: '-',
  dir: 'd',
  symlink: 'l',
  fifo: 'p',
  socket: 's',
  chardev: 'c',
  blockdev: 'b',
};

function formatMode({ type, mode }: ShownEntry): string {
  const bits = [0o400, 0o200, 0o100, 0o040, 0o020, 0o010, 0o004, 0o002, 0o001].map(
    (bit, index) => (mode & bit ? 'rwx'[index % 3] : '-') ?? '-',
  );
  if (mode & 0o4000) bits[2] = mode & 0o100 ? 's' : 'S';
  if (mode & 0o2000) bits[5] = mode & 0o010 ? 's' : 'S';
  if (mode & 0o1000) bits[8] = mode & 0o001 ? 't' : 'T';
  return letters[type] + bits.join('');
}
