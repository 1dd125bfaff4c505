import { type ByteString, toPrintable } from '../../model/byte-string.ts';
import type { Entry } from '../../model/entry.ts';
import { AppError } from '../../model/errors.ts';
import type { TarMember } from '../../lib/tar/tar-member.ts';

/** The members' order cannot be saved directly: the archive has to be unpacked first. */
export class OutOfOrder extends Error {
  constructor(path: ByteString) {
    super(`"${toPrintable(path)}" does not stand below its folder`);
    this.name = 'OutOfOrder';
  }
}

interface OpenFolder {
  readonly path: ByteString;
  readonly names: Set<ByteString>;
}

export interface OrderOptions {
  /** Only what is below this folder, which becomes the root; '' is everything. */
  readonly below: ByteString;
  /** The mtime for folders that have files in the archive, but no entry of their own. */
  readonly timeNs: bigint;
}

/**
 * The members depth first from the root, as a save needs them, with missing folders added. Throws
 * `OutOfOrder` for another order, and `integrity` for what would be written through a link.
 */
export async function* orderedMembers(
  members: AsyncIterable<TarMember>,
  { below, timeNs }: OrderOptions,
): AsyncGenerator<TarMember, void, undefined> {
  const open: OpenFolder[] = [];
  for await (const { entry, body } of members) {
    const moved = moveBelow(entry, below);
    if (moved === undefined) continue;
    for (const folder of missingFolders(open, moved)) {
      yield { entry: plainFolder(folder, timeNs), body: nothing };
    }
    if (moved.path !== '' || open.length === 0) {
      enter(open, moved);
      yield { entry: moved, body };
    }
  }
  if (open.length === 0) yield { entry: plainFolder('', timeNs), body: nothing };
}

/** The entry with its path relative to a folder; undefined for one outside of it. */
export function moveBelow(entry: Entry, below: ByteString): Entry | undefined {
  if (below === '') return entry;
  const path = relative(entry.path, below);
  if (path === undefined || (path === '' && entry.type !== 'dir')) return undefined;
  if (entry.hardLinkTo === undefined) return { ...entry, path };
  const hardLinkTo = relative(entry.hardLinkTo, below);
  if (hardLinkTo !== undefined && hardLinkTo !== '') return { ...entry, path, hardLinkTo };
  throw new AppError(
    'integrity',
    `"${toPrintable(entry.path)}" is the same file as "${toPrintable(entry.hardLinkTo)}", which is of another volume`,
  );
}

function relative(path: ByteString, below: ByteString): ByteString | undefined {
  if (path === below) return '';
  return path.startsWith(`${below}/`) ? path.slice(below.length + 1) : undefined;
}

/** Closes and opens folders until the entry's own is the innermost; returns those that have to be added. */
function missingFolders(open: OpenFolder[], { path }: Entry): ByteString[] {
  if (path === '') {
    if (open.length > 0) throw new OutOfOrder(path);
    return [];
  }
  const names = path.split('/').slice(0, -1);
  const folders = ['', ...names.map((_, index) => names.slice(0, index + 1).join('/'))];
  while (open.length > 0 && !folders.includes(open.at(-1)?.path ?? '')) open.pop();
  const missing = folders.slice(open.length);
  for (const folder of missing) enterFolder(open, folder);
  return missing;
}

function enterFolder(open: OpenFolder[], path: ByteString): void {
  if (path !== '') note(open, path);
  open.push({ path, names: new Set() });
}

function enter(open: OpenFolder[], { path, type }: Entry): void {
  if (type === 'dir') enterFolder(open, path);
  else note(open, path);
}

/** A repeated name: a later entry counts, or a folder is continued. A save supports neither. */
function note(open: OpenFolder[], path: ByteString): void {
  const names = open.at(-1)?.names;
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (names === undefined || names.has(name)) throw new OutOfOrder(path);
  names.add(name);
}

const nothing: AsyncIterable<Uint8Array> = {
  async *[Symbol.asyncIterator]() {},
};

function plainFolder(path: ByteString, mtimeNs: bigint): Entry {
  return { path, type: 'dir', mode: 0o755, uid: 0, gid: 0, mtimeNs, size: 0 };
}
