import { lstatSync, readdirSync } from 'node:fs';
import { type ByteString, toPath, toPrintable } from '../../model/byte-string.ts';
import type { Entry, ExtendedAttribute } from '../../model/entry.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { plainEntryAt } from '../../lib/entry-at.ts';
import type { OpenDirectories } from '../../lib/open-directories.ts';
import { listXattrs } from '../../lib/posix.ts';

/** Throws `integrity` unless the copy of an entry is right in all but content: type, metadata, hard links. */
export function proveFacts(copy: OpenDirectories, entry: Entry): void {
  const { path, hardLinkTo } = entry;
  const { at, stat } = placeIn(copy, path);
  const plain = plainEntryAt({ at, path, stat });
  if (hardLinkTo !== undefined) {
    if (placeIn(copy, hardLinkTo).stat.ino !== stat.ino)
      throw differs(path, 'what it is linked with differs');
    return;
  }
  // Without data runs, which would require opening the file: what is data and what a hole is not compared.
  const difference = factThatDiffers(entry, { ...plain, xattrs: listXattrs(at) });
  if (difference !== undefined) throw differs(path, `${difference} differs`);
}

/** Throws `integrity` unless a directory has the same names in both trees, neither of which may be in use. */
export function proveNames(
  path: ByteString,
  { from, to }: { readonly from: OpenDirectories; readonly to: OpenDirectories },
): void {
  const wanted = new Set(namesIn(from, path));
  for (const name of namesIn(to, path))
    if (!wanted.delete(name)) throw differs(path === '' ? name : `${path}/${name}`, 'it is not to be there');
  for (const name of wanted) throw differs(path === '' ? name : `${path}/${name}`, 'it is missing');
}

export function differs(path: ByteString, words: string): AppError {
  return new AppError(
    'integrity',
    `The copy of "${toPrintable(path === '' ? '.' : path)}" is not right: ${words}`,
  );
}

function placeIn(tree: OpenDirectories, path: ByteString) {
  const slash = path.lastIndexOf('/');
  try {
    const { handle } = tree.enter(slash === -1 ? '' : path.slice(0, slash), { create: false });
    if (path === '') return { at: handle.at('.'), stat: handle.stat() };
    const at = handle.at(path.slice(slash + 1));
    return { at, stat: lstatSync(toPath(at), { bigint: true }) };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw differs(path, 'it is missing');
    throw error;
  }
}

function namesIn(tree: OpenDirectories, path: ByteString): ByteString[] {
  const { handle } = tree.enter(path, { create: false });
  return readdirSync(toPath(handle.at('.')), { encoding: 'latin1' });
}

/** In words; undefined when all that is compared is equal. */
function factThatDiffers(one: Entry, other: Entry): string | undefined {
  if (one.type !== other.type) return 'its kind';
  if (one.size !== other.size) return 'its size';
  if (one.mode !== other.mode) return 'its mode';
  if (one.uid !== other.uid || one.gid !== other.gid) return 'its owner';
  if (one.mtimeNs !== other.mtimeNs) return 'its time';
  if (one.linkTarget !== other.linkTarget) return 'its target';
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
