import { toPrintable } from '../../model/byte-string.ts';
import type { EntryType } from '../../model/entry.ts';
import type { ListedEntry } from '../../model/listed-entry.ts';
import { formatTable } from './table.ts';
import { localTime } from '../../model/local-time.ts';

/** As `ls -l` does. */
export function formatEntries(entries: readonly ListedEntry[]): string {
  if (entries.length === 0) return '';
  return formatTable(entries, [
    { title: 'MODE', value: (entry) => formatMode(entry) },
    { title: 'OWNER', value: (entry) => `${entry.uid}:${entry.gid}` },
    { title: 'SIZE', value: (entry) => (entry.type === 'file' ? String(entry.size) : ''), align: 'right' },
    { title: 'MODIFIED', value: (entry) => localTime(entry.modifiedAt) },
    { title: 'NAME', value: (entry) => shownName(entry) },
  ]);
}

function shownName(entry: ListedEntry): string {
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

function formatMode({ type, mode }: ListedEntry): string {
  const bits = [0o400, 0o200, 0o100, 0o040, 0o020, 0o010, 0o004, 0o002, 0o001].map(
    (bit, index) => (mode & bit ? 'rwx'[index % 3] : '-') ?? '-',
  );
  if (mode & 0o4000) bits[2] = mode & 0o100 ? 's' : 'S';
  if (mode & 0o2000) bits[5] = mode & 0o010 ? 's' : 'S';
  if (mode & 0o1000) bits[8] = mode & 0o001 ? 't' : 'T';
  return letters[type] + bits.join('');
}
