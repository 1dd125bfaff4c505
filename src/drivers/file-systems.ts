import { open, stat } from 'node:fs/promises';
import { runProgram } from '../lib/run-program.ts';
import { runToEnd } from '../lib/run-to-end.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { formatSize } from '../model/size.ts';
import type { DriverCall, DriverVolume } from './driver.ts';

export const fileSystems = ['ext4', 'xfs', 'btrfs'] as const;
export type FileSystem = (typeof fileSystems)[number];

interface Facts {
  readonly make: readonly string[];
  readonly debianPackage: string;
  /** mkfs refuses less. */
  readonly leastBytes: number;
}

const mib = 2 ** 20;

const facts: Readonly<Record<FileSystem, Facts>> = {
  // No blocks are reserved for root: a volume of 10 GB holds 10 GB of its container's data.
  ext4: { make: ['mkfs.ext4', '-q', '-F', '-m', '0'], debianPackage: 'e2fsprogs', leastBytes: 8 * mib },
  xfs: { make: ['mkfs.xfs', '-q', '-m', 'reflink=1'], debianPackage: 'xfsprogs', leastBytes: 300 * mib },
  btrfs: { make: ['mkfs.btrfs', '-q'], debianPackage: 'btrfs-progs', leastBytes: 114 * mib },
};

export function checkFileSystem(text: string): FileSystem {
  const found = fileSystems.find((name) => name === text);
  if (found !== undefined) return found;
  throw new AppError('usage', `There is no file system ${quote(text)} for volumes`, {
    hint: `Choose from ${fileSystems.map(quote).join(', ')}.`,
  });
}

/** Throws `usage` for a size that the file system cannot have. */
export function checkLeastSize(fileSystem: FileSystem, sizeBytes: number): void {
  const { leastBytes } = facts[fileSystem];
  if (sizeBytes >= leastBytes) return;
  throw new AppError('usage', `size ${formatSize(sizeBytes)} is too small for ${fileSystem}`, {
    hint: `It needs ${leastBytes / mib} MiB or more.`,
  });
}

/** Creates a file system on a device or image that the caller has found blank, or has created. */
export async function makeFileSystem(
  fileSystem: FileSystem,
  target: string,
  { volume, signal }: DriverCall & { readonly volume: Pick<DriverVolume, 'name' | 'folder'> },
): Promise<void> {
  const { make, debianPackage } = facts[fileSystem];
  const [program = '', ...args] = make;
  const { status, said } = await runToEnd(program, [...args, target], {
    folder: volume.folder,
    signal,
    debianPackage,
  });
  if (status === 0) return;
  throw new AppError('failed', `Cannot make ${fileSystem} for volume ${quote(volume.name)}`, {
    detail: said,
  });
}

const lookedAtBytes = 4 * mib;

/**
 * The content of a device or image: the recognized type, `unknown data`, or undefined when it is blank.
 * Unrecognized content counts as data when anything but zeros is where file systems and partitions begin or
 * end.
 */
export async function contentOf(target: string, { signal }: DriverCall = {}): Promise<string | undefined> {
  const { status, stdout } = await runProgram('blkid', ['-p', '-o', 'export', '--', target], {
    signal,
    debianPackage: 'util-linux',
  });
  // 8 is "ambivalent": several types match.
  if (status === 8) return 'several file systems';
  const found = /^(?:TYPE|PTTYPE)=(.+)$/m.exec(stdout)?.[1];
  if (found !== undefined) return found;
  return (await isZero(target)) ? undefined : 'unknown data';
}

async function isZero(target: string): Promise<boolean> {
  await using file = await open(target, 'r');
  const length = await lengthOf(target);
  const buffer = Buffer.alloc(mib);
  for (const start of [0, Math.max(0, length - lookedAtBytes)]) {
    const end = Math.min(length, start + lookedAtBytes);
    for (let at = start; at < end;) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, end - at), at);
      if (bytesRead === 0) break;
      if (buffer.subarray(0, bytesRead).some((byte) => byte !== 0)) return false;
      at += bytesRead;
    }
  }
  return true;
}

/** The size of a device or a file, in bytes. */
export async function lengthOf(target: string): Promise<number> {
  const found = await stat(target);
  if (found.isFile()) return found.size;
  const args = ['--getsize64', target];
  const { status, stdout, stderr } = await runProgram('blockdev', args, { debianPackage: 'util-linux' });
  // Taken for 0 bytes, a device would be taken for blank, and be formatted.
  if (status !== 0)
    throw new AppError('failed', `Cannot find the size of ${quote(target)}`, { detail: stderr });
  return Number(stdout);
}

/** Grows a mounted file system to fill its device. */
export async function growFileSystem(
  fileSystem: FileSystem,
  { device, volume, signal }: DriverCall & Grown,
): Promise<void> {
  const commands: Readonly<Record<FileSystem, readonly string[]>> = {
    ext4: ['resize2fs', device],
    xfs: ['xfs_growfs', volume.mountpoint],
    btrfs: ['btrfs', 'filesystem', 'resize', 'max', volume.mountpoint],
  };
  const [program = '', ...args] = commands[fileSystem];
  const { debianPackage } = facts[fileSystem];
  const { status, said } = await runToEnd(program, args, { folder: volume.folder, signal, debianPackage });
  if (status === 0) return;
  throw new AppError('failed', `Cannot grow the file system of volume ${quote(volume.name)}`, {
    detail: said,
    hint: /Permission denied to resize/.test(said)
      ? 'ext4 grows while it is mounted only for a process with the capability CAP_SYS_RESOURCE. Stop what uses it and try again, or run with that capability.'
      : undefined,
  });
}

interface Grown {
  readonly device: string;
  readonly volume: Pick<DriverVolume, 'name' | 'folder' | 'mountpoint'>;
}
