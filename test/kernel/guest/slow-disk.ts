import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SlowDisk extends Disposable {
  /** With an ext4, not mounted. */
  readonly device: string;
}

const sizeBytes = 64 << 20;

/** A disk that answers each request after this time, however few there are: one that is busy though this kernel is slow. */
export function openSlowDisk(delayMs: number): SlowDisk {
  const folder = mkdtempSync(join(tmpdir(), 'slow-'));
  const image = join(folder, 'image');
  const name = 'slow';
  writeFileSync(image, '');
  truncateSync(image, sizeBytes);
  run('mkfs.ext4', image);
  const loop = run('losetup', '--find', '--show', image);
  run('dmsetup', 'create', name, '--table', `0 ${sizeBytes / 512} delay ${loop} 0 ${delayMs}`);
  // On other machines udev does this.
  run('dmsetup', 'mknodes', name);
  return {
    device: `/dev/mapper/${name}`,
    [Symbol.dispose]: () => {
      run('dmsetup', 'remove', '--retry', name);
      run('losetup', '--detach', loop);
      rmSync(folder, { recursive: true });
    },
  };
}

function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: 'pipe' }).trim();
}
