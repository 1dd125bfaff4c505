import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { holdfastCommand } from '../support/holdfast-command.ts';
import { mountLoopFilesystem } from '../support/loop-filesystem.ts';
import { treeFacts } from '../support/tree-facts.ts';
import { mustRun } from '../../scripts/run-command.ts';

const mib = 1 << 20;

/** Bytes that do not repeat. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0, state = 1; at + 4 <= length; at += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes.writeUInt32LE(state, at);
  }
  return bytes;
}

async function freeBytes(path: string): Promise<number> {
  await mustRun('sync', ['-f', path]);
  return Number((await mustRun('df', ['--output=avail', '-B1', path])).split('\n')[1]);
}

test.each(['btrfs', 'xfs'] as const)(
  'on %s, a restore shares what is the same with what is there, and writes only what differs',
  async (type) => {
    await using disk = mountLoopFilesystem(type);
    await using state = mountLoopFilesystem('ext4');
    const holdfast = holdfastCommand(join(state.path, 'state'));
    await holdfast.run('init', '--repo', join(state.path, 'repository'));
    const root = join(disk.path, 'data');
    mkdirSync(root);
    writeFileSync(join(root, 'database'), noise(64 * mib));
    writeFileSync(join(root, 'same'), noise(3 * mib));
    writeFileSync(join(root, 'shorter'), noise(5 * mib));
    writeFileSync(join(root, 'linked'), noise(2 * mib));
    const saved = treeFacts(root);
    await holdfast.run('backup', root);
    // In the middle, with an unchanged time: only the content differs.
    const fd = openSync(join(root, 'database'), 'r+');
    writeSync(fd, Buffer.alloc(5000, 'x'), 0, 5000, 20 * mib);
    closeSync(fd);
    await mustRun('touch', ['-d', '2001-01-01', join(root, 'same')]);
    writeFileSync(join(root, 'shorter'), noise(mib));
    rmSync(join(root, 'linked'));
    symlinkSync('/etc/passwd', join(root, 'linked'));
    const changed = treeFacts(root);
    const before = await freeBytes(disk.path);
    const report = JSON.parse(
      await holdfast.run('restore', root, '--yes', '--no-safety-snapshot', '--format', 'json'),
    ) as { bytesTaken: number; bytes: number };
    expect(treeFacts(root)).toEqual(saved);
    expect(report.bytesTaken).toBeGreaterThan(58 * mib);
    expect(report.bytesTaken).toBeLessThan(report.bytes - 6 * mib);
    // The old data is kept, and the new takes little more.
    expect(before - (await freeBytes(disk.path))).toBeLessThan(24 * mib);
    await holdfast.run('undo', '--yes');
    expect(treeFacts(root)).toEqual(changed);
    expect(readFileSync(join(root, 'database')).subarray(20 * mib, 20 * mib + 5)).toEqual(
      Buffer.from('xxxxx'),
    );
  },
);
