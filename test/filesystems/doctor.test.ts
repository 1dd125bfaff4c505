import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type HoldfastCommand, holdfastCommand } from '../support/holdfast-command.ts';
import { mountLoopFilesystem } from '../support/loop-filesystem.ts';
import { mountSilent } from '../support/silent-mount.ts';

let folder: string;
let holdfast: HoldfastCommand;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'doctor-'));
  holdfast = holdfastCommand(join(folder, 'state'));
});
afterEach(() => {
  // Nothing can be made in the place of a mount, and nothing removed.
  spawnSync('chattr', ['-R', '-f', '-i', folder]);
  rmSync(folder, { recursive: true });
});

interface Finding {
  readonly id: string;
  readonly subject: { readonly kind: string; readonly name: string };
  readonly message: string;
  readonly meaning: string;
  readonly evidence: readonly string[];
  readonly commands: readonly (readonly string[])[];
}

async function examine(...args: string[]): Promise<readonly Finding[]> {
  const { exitCode, stdout, output } = await holdfast.attempt('doctor', ...args, '--format', 'json');
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] };
  expect(exitCode, output).toBe(findings.length === 0 ? 0 : 1);
  // The machine's load is not the tests'.
  return findings.filter(({ id }) => !id.startsWith('HF-D06'));
}

test('a mount whose program is stopped is told of and not waited for, and the fix lets it go on', async () => {
  const mount = join(folder, 'mount');
  await using storage = mountSilent(join(folder, 'cipher'), mount);
  expect(await examine(mount)).toEqual([]);
  storage.stop();
  const [found, ...others] = await examine(mount);
  expect(others).toEqual([]);
  expect(found).toMatchObject({ id: 'HF-D010', message: `"${mount}" does not answer within 5 seconds` });
  expect(found?.evidence.join()).toContain('serves it, and is stopped');
  await holdfast.run('doctor', mount, '--fix', '--yes');
  writeFileSync(join(mount, 'file'), 'it works');
});

test('a mount whose program has ended is told of, and works after it is mounted again', async () => {
  const mount = join(folder, 'mount');
  await using storage = mountSilent(join(folder, 'cipher'), mount);
  storage.kill();
  await expect.poll(() => errorOf(() => statfsSync(mount))).toContain('ENOTCONN');
  const [found] = await examine(mount);
  const detach = ['umount', '-l', mount] as const;
  expect(found).toMatchObject({
    id: 'HF-D011',
    message: `"${mount}" cannot be used: Transport endpoint is not connected`,
    commands: [detach],
  });
  expect(spawnSync(detach[0], detach.slice(1)).status).toBe(0);
  storage.mountAgain();
  expect(await examine(mount)).toEqual([]);
});

function errorOf(call: () => unknown): string {
  try {
    call();
    return '';
  } catch (error) {
    return String(error);
  }
}

test('a full disk is told of with the deleted file that takes its room, and is well when that is closed', async () => {
  await using disk = mountLoopFilesystem('ext4', { sizeBytes: 64 << 20 });
  expect(await examine(disk.path)).toEqual([]);
  const file = openSync(join(disk.path, 'log'), 'w');
  expect(() => {
    for (;;) writeFileSync(file, Buffer.alloc(1 << 20, 1));
  }).toThrow('ENOSPC');
  unlinkSync(join(disk.path, 'log'));
  const found = await examine(disk.path);
  expect(found.map(({ id }) => id)).toEqual(['HF-D030', 'HF-D033']);
  expect(found[0]?.message).toContain(`"${disk.path}" is full: `);
  expect(found[1]?.message).toContain(`Process ${process.pid} (`);
  expect(found[1]?.evidence).toEqual([`1 deleted file, the largest was "${disk.path}/log"`]);
  closeSync(file);
  expect(await examine(disk.path)).toEqual([]);
});

test('a disk without inodes is told of, and is well when files are removed', async () => {
  await using disk = mountLoopFilesystem('ext4', { sizeBytes: 16 << 20 });
  const made: string[] = [];
  expect(() => {
    for (let number = 0; ; number++) {
      const path = join(disk.path, String(number));
      writeFileSync(path, '');
      made.push(path);
    }
  }).toThrow('ENOSPC');
  expect(await examine(disk.path)).toMatchObject([{ id: 'HF-D031' }]);
  for (const path of made.slice(100)) unlinkSync(path);
  expect(await examine(disk.path)).toEqual([]);
});

test('the limit of a volume that Holdfast keeps is told of as its own, and raised by the command', async () => {
  await using disk = mountLoopFilesystem('btrfs', { sizeBytes: 512 << 20 });
  const own = holdfastCommand(join(disk.path, 'state'));
  await own.run('volume', 'create', '-o', 'type=btrfs', '-o', 'size=32m', 'limited');
  const data = join(disk.path, 'state/volumes/limited/_data/file');
  const found = async (): Promise<readonly Finding[]> => {
    const { stdout } = await own.attempt('doctor', 'limited', '--format', 'json');
    const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] };
    return findings.filter(({ id }) => !id.startsWith('HF-D06'));
  };
  expect(await found()).toEqual([]);
  expect(() => writeFileSync(data, Buffer.alloc(64 << 20, 1))).toThrow();
  await expect
    .poll(found)
    .toMatchObject([{ id: 'HF-D032', commands: [['holdfast', 'volume', 'resize', 'limited', 'SIZE']] }]);
  await own.run('volume', 'resize', 'limited', '200m');
  writeFileSync(data, Buffer.alloc(64 << 20, 1));
  expect(await found()).toEqual([]);
});

/** Writes a file into a volume of its own, as the daemon of an engine would mount it for a container. */
async function write(volume: string, name: string): Promise<void> {
  const file = join(folder, name);
  writeFileSync(file, name);
  await holdfast.run('volume', 'cp', file, `${volume}:/`);
}

async function isUnwell(volume: string): Promise<Finding> {
  const [found, ...others] = await examine(volume);
  expect(others).toEqual([]);
  expect(found).toMatchObject({ id: 'HF-D015', subject: { kind: 'volume', name: volume } });
  // Without a name too, and not for the volumes that are well.
  const all = (await examine()).filter(({ id }) => id === 'HF-D015');
  expect(all.map(({ subject }) => subject.name)).toEqual([volume]);
  return found!;
}

describe('a volume that Holdfast keeps', () => {
  test('encrypted, without the key of all, is told of, and is read when the copy of it is back', async () => {
    await holdfast.run('volume', 'create', '-o', 'type=gocryptfs', 'secret');
    await holdfast.run('volume', 'create', 'plain');
    await write('secret', 'before');
    expect(await examine('secret')).toEqual([]);
    const key = join(folder, 'state/keys/volumes.key');
    renameSync(key, `${key}.away`);
    expect((await isUnwell('secret')).message).toContain(`The key of the volumes is missing: "${key}"`);
    await expect(write('secret', 'after')).rejects.toThrow();
    renameSync(`${key}.away`, key);
    expect(await examine('secret')).toEqual([]);
    await write('secret', 'after');
    expect(await holdfast.run('volume', 'cat', 'secret', 'before')).toBe('before');
  });

  test('encrypted by a passphrase in a file that is gone, or with a damaged key, is told of', async () => {
    const passphrase = join(folder, 'passphrase');
    writeFileSync(passphrase, 'a long passphrase');
    await holdfast.run('volume', 'create', '-o', 'type=gocryptfs', '-o', `key=file:${passphrase}`, 'secret');
    expect(await examine('secret')).toEqual([]);
    renameSync(passphrase, `${passphrase}.away`);
    expect((await isUnwell('secret')).message).toContain(passphrase);
    renameSync(`${passphrase}.away`, passphrase);
    const key = join(folder, 'state/volumes/secret/key.json');
    const content = readFileSync(key);
    writeFileSync(key, content.subarray(0, 40));
    expect((await isUnwell('secret')).message).toContain('its key is cut short, or damaged');
    writeFileSync(key, content);
    expect(await examine('secret')).toEqual([]);
    await write('secret', 'after');
  });

  test('on an image that is gone is told of, and is read when the image is back', async () => {
    const image = join(folder, 'image');
    const options = ['type=ext4', `device=${image}`, 'size=40m', 'format=true'];
    await holdfast.run('volume', 'create', ...options.flatMap((option) => ['-o', option]), 'imaged');
    await write('imaged', 'before');
    expect(await examine('imaged')).toEqual([]);
    renameSync(image, `${image}.away`);
    expect((await isUnwell('imaged')).message).toContain(image);
    await expect(write('imaged', 'after')).rejects.toThrow();
    renameSync(`${image}.away`, image);
    expect(await examine('imaged')).toEqual([]);
    await write('imaged', 'after');
    expect(await holdfast.run('volume', 'cat', 'imaged', 'before')).toBe('before');
  });
});
