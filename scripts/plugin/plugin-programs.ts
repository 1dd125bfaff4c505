import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Programs of this machine to include, by purpose. Volumes with a size are ext4 by default. */
const always = [
  'mount',
  'umount',
  'losetup',
  'blkid',
  'blockdev',
  'stat',
  'mke2fs',
  'e2fsck',
  'resize2fs',
  'dumpe2fs',
];

/** Further kinds of storage, each for a word of `--with`. */
export const extraPrograms = {
  xfs: ['mkfs.xfs', 'xfs_growfs'],
  btrfs: ['mkfs.btrfs', 'btrfs'],
  luks: ['cryptsetup'],
  nfs: ['mount.nfs', 'showmount'],
  cifs: ['mount.cifs'],
} as const;

export type Extra = keyof typeof extraPrograms;

export function isExtra(text: string): text is Extra {
  return Object.hasOwn(extraPrograms, text);
}

/** The paths of the programs. Throws the names of missing ones. */
export function findPrograms(extras: readonly Extra[]): string[] {
  const wanted = [...always, ...extras.flatMap((extra) => extraPrograms[extra])];
  const found = wanted.map((name) => ({ name, path: findProgram(name) }));
  const missing = found.filter(({ path }) => path === undefined).map(({ name }) => name);
  if (missing.length > 0) throw new Error(`this machine lacks ${missing.join(', ')}`);
  return found.flatMap(({ path }) => path ?? []);
}

function findProgram(name: string): string | undefined {
  return ['/usr/sbin', '/usr/bin', '/sbin', '/bin']
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}
