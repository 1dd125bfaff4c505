import { readFile } from 'node:fs/promises';
import type { ByteString } from '../model/byte-string.ts';
import { isWithin } from '../model/clean-path.ts';

/** One mount of this process's mount namespace. */
export interface MountPoint {
  readonly id: number;
  /** `major:minor` of the file system. */
  readonly device: string;
  /** The mounted part of the file system: `/` is all of it, anything else a bind mount's directory. */
  readonly root: ByteString;
  readonly path: ByteString;
  readonly type: string;
  readonly source: ByteString;
  /** Of a shared mount: its peers in all namespaces have the same number, and show what is mounted below any of them. */
  readonly peerGroup: number | undefined;
  /** Of this mount, and not of its file system: `nosuid`, `noexec`. */
  readonly options: readonly string[];
  /** This mount takes no writes, whatever its file system does. */
  readonly isReadOnly: boolean;
  /** The file system as a whole takes none: it was mounted so, or the kernel made it so after an error. */
  readonly isFilesystemReadOnly: boolean;
}

/** All mounts of this process, or of another one, in the order in which they were made. */
export async function readMounts(pid: number | 'self' = 'self'): Promise<MountPoint[]> {
  return parseMountinfo(await readFile(`/proc/${pid}/mountinfo`, 'latin1'));
}

/** Parses the format of `/proc/PID/mountinfo`; invalid lines are left out. */
export function parseMountinfo(text: ByteString): MountPoint[] {
  const mounts: MountPoint[] = [];
  for (const line of text.split('\n')) {
    // Optional fields stand between the sixth field and a lone "-".
    const separator = line.indexOf(' - ');
    if (separator === -1) continue;
    const [id, , device, root, path, words = '', ...optional] = line.slice(0, separator).split(' ');
    const [type, source, superOptions] = line.slice(separator + 3).split(' ');
    if (id === undefined || device === undefined || root === undefined || path === undefined) continue;
    const options = words.split(',');
    mounts.push({
      id: Number(id),
      device,
      root: unescapeOctal(root),
      path: unescapeOctal(path),
      type: type ?? '',
      source: unescapeOctal(source ?? ''),
      peerGroup: peerGroupIn(optional),
      options,
      isReadOnly: options.includes('ro'),
      isFilesystemReadOnly: (superOptions ?? '').split(',').includes('ro'),
    });
  }
  return mounts;
}

function peerGroupIn(optional: readonly string[]): number | undefined {
  const shared = optional.find((field) => field.startsWith('shared:'));
  return shared === undefined ? undefined : Number(shared.slice('shared:'.length));
}

/** The mount that a path lies on: the deepest, and of several at one place the last. Pure. */
export function mountOver(mounts: readonly MountPoint[], path: ByteString): MountPoint | undefined {
  let found: MountPoint | undefined;
  for (const mount of mounts)
    if (isWithin(path, mount.path) && mount.path.length >= (found?.path.length ?? 0)) found = mount;
  return found;
}

/** The mount visible at exactly `path`: the last one, as later mounts cover earlier ones. */
export function mountAt(mounts: readonly MountPoint[], path: ByteString): MountPoint | undefined {
  return mounts.findLast((mount) => mount.path === path);
}

/** The mounts at `folder` and below it. */
export function mountsWithin(mounts: readonly MountPoint[], folder: ByteString): MountPoint[] {
  const prefix = folder.endsWith('/') ? folder : `${folder}/`;
  return mounts.filter((mount) => mount.path === folder || mount.path.startsWith(prefix));
}

/** The kernel writes blanks, tabs, newlines and backslashes as `\\040` and the like. */
function unescapeOctal(text: ByteString): ByteString {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
