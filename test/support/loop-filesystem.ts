import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

export type LoopFilesystemType = 'btrfs' | 'xfs' | 'ext4';

const makers: Readonly<Record<LoopFilesystemType, readonly string[]>> = {
  btrfs: ['mkfs.btrfs', '--quiet'],
  xfs: ['mkfs.xfs', '-q', '-m', 'reflink=1'],
  ext4: ['mkfs.ext4', '-q', '-F'],
};

/** The smallest size that all of them accept. */
const defaultSizeBytes = 320 * 1024 * 1024;

export interface LoopFilesystem extends AsyncDisposable {
  /** The mount's path. */
  readonly path: string;
  /** Mounts it again with these options (`ro`, `noatime`). */
  remount(options: string): void;
  /** Keeps only what has reached the device by now, as after a power cut. Nothing may be open on it. */
  cutPower(): void;
}

/**
 * A real file system on its own loop device, removed by the disposal. Needs root.
 *
 * await using disk = mountLoopFilesystem('btrfs');
 */
export function mountLoopFilesystem(
  type: LoopFilesystemType,
  options: {
    readonly sizeBytes?: number;
    /** Further arguments of the program that makes the file system. */
    readonly make?: readonly string[];
    /** `usrquota,prjquota` */
    readonly mount?: string;
  } = {},
): LoopFilesystem {
  const folder = mkdtempSync(join(tmpdir(), 'loop-'));
  const image = join(folder, 'image');
  const path = join(folder, type);
  mkdirSync(path);
  writeFileSync(image, '');
  truncateSync(image, options.sizeBytes ?? defaultSizeBytes);
  const [maker = '', ...args] = makers[type];
  execFileSync(maker, [...args, ...(options.make ?? []), image], { stdio: 'pipe' });
  const mountOptions = ['loop', options.mount ?? []].flat().join(',');
  const mount = (): void => void execFileSync('mount', ['-o', mountOptions, image, path], { stdio: 'pipe' });
  mount();
  return {
    path,
    remount: (changed) => void execFileSync('mount', ['-o', `remount,${changed}`, path], { stdio: 'pipe' }),
    cutPower: () => {
      const device = deviceOf(path);
      copyAtOneMoment(device, image);
      unmount(path);
      waitUntilFree(device);
      renameSync(`${image}.cut`, image);
      mount();
    },
    [Symbol.asyncDispose]: async () => {
      unmount(path);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function deviceOf(path: string): string {
  return execFileSync('findmnt', ['-n', '-o', 'SOURCE', path], { encoding: 'utf8' }).trim();
}

/**
 * Waits until no other mount namespace has the file system any more: a sandbox of another test may have been
 * made while it was mounted. XFS refuses a second file system of one UUID, and btrfs would show the first.
 */
function waitUntilFree(device: string): void {
  const loop = `/sys/class/block/${basename(device)}/loop`;
  for (let attempt = 1; existsSync(loop); attempt += 1) {
    if (attempt === 600) throw new Error(`${device} is still mounted in another mount namespace`);
    sleepSync(100);
  }
}

/** Copies again if the kernel wrote to the device meanwhile, since a power cut happens at one moment. */
function copyAtOneMoment(device: string, image: string): void {
  for (let attempt = 1; ; attempt += 1) {
    const before = writesTo(device);
    execFileSync('cp', ['--sparse=always', image, `${image}.cut`]);
    const after = writesTo(device);
    if (before.underWay === 0 && after.underWay === 0 && before.done === after.done) return;
    if (attempt === 20) throw new Error(`${device} is written to all the time`);
  }
}

/** See Documentation/block/stat.rst of Linux. */
function writesTo(device: string): { readonly done: string; readonly underWay: number } {
  const fields = readFileSync(`/sys/class/block/${basename(device)}/stat`, 'utf8')
    .trim()
    .split(/\s+/);
  return { done: `${fields[4]} ${fields[6]}`, underWay: Number(fields[8]) };
}

/** On a busy machine, files may stay open a moment longer than the process that opened them. */
function unmount(path: string): void {
  for (let attempt = 1; ; attempt += 1) {
    try {
      execFileSync('umount', [path], { stdio: 'pipe' });
      return;
    } catch (error) {
      if (attempt === 100) throw error;
      sleepSync(100);
    }
  }
}

function sleepSync(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
