import { readTar } from '../../lib/tar/read-tar.ts';
import type { TarSource } from '../../lib/tar/tar-member.ts';
import { writeTar } from '../../lib/tar/write-tar.ts';
import type { ByteString } from '../../model/byte-string.ts';
import type { Entry } from '../../model/entry.ts';
import type { ArchiveStat } from './archive-path.ts';

/** The engine names things from `path` on; callers want them from the volume's root on. */
export function rebased(
  chunks: AsyncIterable<Uint8Array>,
  path: ByteString,
  type: ArchiveStat['type'] | 'itself',
): AsyncIterable<Uint8Array> {
  return writeTar(rebasedMembers(chunks, path, type));
}

async function* rebasedMembers(
  chunks: AsyncIterable<Uint8Array>,
  path: ByteString,
  type: ArchiveStat['type'] | 'itself',
): AsyncGenerator<TarSource> {
  // A single thing comes under its own name.
  const base = type === 'dir' ? path : path.slice(0, Math.max(0, path.lastIndexOf('/')));
  const rebase = (name: ByteString): ByteString =>
    name === '' ? base : base === '' ? name : `${base}/${name}`;
  for await (const { entry, body } of readTar(chunks)) {
    const { hardLinkTo } = entry;
    yield {
      entry: {
        ...entry,
        path: rebase(entry.path),
        ...(hardLinkTo === undefined ? {} : { hardLinkTo: rebase(hardLinkTo) }),
      },
      open: () => body,
    };
  }
}

const defaultAcl = 'system.posix_acl_default';

/**
 * What the engine would get wrong is put into `late`, for a second archive when all the rest is in place:
 * it leaves the directory alone that it unpacks into, and what it makes in a directory inherits the directory's default ACL.
 */
export async function* withoutLate(tar: AsyncIterable<Uint8Array>, late: Entry[]): AsyncGenerator<TarSource> {
  for await (const { entry, body } of readTar(tar)) {
    const hasDefaultAcl = entry.xattrs?.some(({ name }) => name === defaultAcl) === true;
    if (entry.path === '' || hasDefaultAcl) late.push(entry);
    if (entry.path === '') continue;
    const early = hasDefaultAcl
      ? { ...entry, xattrs: (entry.xattrs ?? []).filter(({ name }) => name !== defaultAcl) }
      : entry;
    yield { entry: early, open: () => body };
  }
}

/** The held back directories, named from the parent of `place`. */
export function* lateMembers(late: readonly Entry[], place: ByteString): Generator<TarSource> {
  const name = place.slice(place.lastIndexOf('/') + 1);
  for (const entry of late)
    yield { entry: { ...entry, path: entry.path === '' ? name : `${name}/${entry.path}` } };
}
