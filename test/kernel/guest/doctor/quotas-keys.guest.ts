import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { holdfastCommand } from '../../../support/holdfast-command.ts';
import { mountLoopFilesystem } from '../../../support/loop-filesystem.ts';
import { onEngine } from '../../../support/on-engine.ts';
import { doctorOn, type Found } from '../doctor-on.ts';
import { startNfsServer } from '../nfs-server.ts';

const on = onEngine({ host: 'docker', engine: { usesMachineNetwork: true } });
const { findings, volume, start, inside, remove, carryOut } = doctorOn(on);

describe.each([
  ['XFS', 'xfs', { mount: 'grpquota' }],
  ['ext4', 'ext4', { mount: 'grpquota', make: ['-O', 'quota', '-E', 'quotatype=grpquota'] }],
] as const)('a limit of a group on %s', (_name, type, options) => {
  const write = (mebibytes: number): string => `dd if=/dev/zero of=/data/file bs=1M count=${mebibytes}`;

  test.each([
    ['that the application runs in', '1000:1200', 0o755],
    ['of a folder whose files have its group (setgid)', '1000:1000', 0o2775],
  ])('%s is told of though the disk has room, and the command raises it', async (_whose, user, mode) => {
    await using disk = mountLoopFilesystem(type, options);
    execFileSync('setquota', ['-g', '1200', '0', '20480', '0', '0', disk.path]);
    execFileSync('chown', ['1000:1200', disk.path]);
    execFileSync('chmod', [mode.toString(8), disk.path]);
    await start('of-group', '--user', user, '-v', `${disk.path}:/data`);
    expect(await findings('of-group')).toEqual([]);
    await expect(inside('of-group', write(40))).rejects.toThrow('quota exceeded');
    const [found, ...others] = await findings('of-group');
    expect(others).toEqual([]);
    expect(found).toMatchObject({ id: 'HF-D032', subject: { kind: 'container', name: 'of-group' } });
    expect(found?.message).toContain('group 1200 has 21.0 MB of the 21.0 MB that it may have');
    for (const command of found?.commands ?? []) await carryOut(command);
    await inside('of-group', write(30));
    expect(await findings('of-group')).toEqual([]);
    await remove('of-group');
  });
});

test('root whose NFS server takes its rights away is told of, and writes when the server gives the folder to nobody', async () => {
  await using _nfs = await startNfsServer();
  const folder = mkdtempSync('/disk/nfs/secure/new-');
  chmodSync(folder, 0o755);
  const device = `:/secure/${basename(folder)}`;
  await volume('squashed', { type: 'nfs', o: 'addr=127.0.0.1,nfsvers=4.2', device });
  await start('squashed', '-v', 'squashed:/data');
  await expect(inside('squashed', 'touch /data/file')).rejects.toThrow('Permission denied');
  const [found, ...others] = await findings('squashed');
  expect(others).toEqual([]);
  expect(found).toMatchObject({ id: 'HF-D024', subject: { kind: 'container', name: 'squashed' } });
  chownSync(folder, 65_534, 65_534);
  // What the server has allowed is known to the client for a while.
  await expect.poll(() => findings('squashed'), { timeout: 120_000 }).toEqual([]);
  await inside('squashed', 'touch /data/file');
  await remove('squashed');
});

test.each([
  ['the key of all volumes', 'state/keys/volumes.key', 'The key of the volumes is missing'],
  ['its own key', 'state/volumes/secret/key.json', 'its key is gone'],
])('a LUKS volume without %s is told of, and is read when the copy is back', async (_key, file, words) => {
  const folder = mkdtempSync(join(tmpdir(), 'doctor-'));
  const holdfast = holdfastCommand(join(folder, 'state'));
  const look = async (): Promise<readonly Found[]> => {
    const { stdout } = await holdfast.attempt('doctor', 'secret', '--format', 'json');
    const { findings: all } = JSON.parse(stdout) as { readonly findings: readonly Found[] };
    return all.filter(({ id }) => !id.startsWith('HF-D06'));
  };
  await holdfast.run('volume', 'create', '-o', 'type=luks', '-o', 'size=40m', 'secret');
  writeFileSync(join(folder, 'before'), 'before');
  await holdfast.run('volume', 'cp', join(folder, 'before'), 'secret:/');
  expect(await look()).toEqual([]);
  const key = join(folder, file);
  renameSync(key, `${key}.away`);
  const [found, ...others] = await look();
  expect(others).toEqual([]);
  expect(found).toMatchObject({ id: 'HF-D015', subject: { kind: 'volume', name: 'secret' } });
  expect(found?.message).toContain(words);
  await expect(holdfast.run('volume', 'cat', 'secret', 'before')).rejects.toThrow();
  renameSync(`${key}.away`, key);
  expect(await look()).toEqual([]);
  expect(await holdfast.run('volume', 'cat', 'secret', 'before')).toBe('before');
  await holdfast.run('volume', 'rm', '--permanent', 'secret');
  rmSync(folder, { recursive: true });
});
