import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TopReport } from '../../../../src/insight/index.ts';
import { holdfastCommand } from '../../../support/holdfast-command.ts';
import { mountLoopFilesystem } from '../../../support/loop-filesystem.ts';
import { onEngine } from '../../../support/on-engine.ts';
import { doctorOn, type Found } from '../doctor-on.ts';
import { type NfsServer, startNfsServer } from '../nfs-server.ts';
import { openSlowDisk } from '../slow-disk.ts';
import { type IoCount, startTop } from '../start-top.ts';

const on = onEngine({ host: 'docker', engine: { usesMachineNetwork: true } });
const { findings, volume, start, inside, remove, carryOut } = doctorOn(on);

let nfs: NfsServer;
beforeAll(async () => {
  nfs = await startNfsServer();
});
afterAll(() => nfs[Symbol.asyncDispose]());

describe.each([
  ['XFS', 'xfs', { mount: 'usrquota,prjquota' }],
  [
    'ext4',
    'ext4',
    { mount: 'usrquota,prjquota', make: ['-O', 'quota,project', '-E', 'quotatype=usrquota:prjquota'] },
  ],
] as const)('a limit on %s', (_name, type, options) => {
  const write = (mebibytes: number): string => `dd if=/dev/zero of=/data/file bs=1M count=${mebibytes}`;

  test('of a user is told of though the disk has room, and the command raises it', async () => {
    await using disk = mountLoopFilesystem(type, options);
    execFileSync('setquota', ['-u', '1000', '0', '20480', '0', '0', disk.path]);
    execFileSync('chown', ['1000', disk.path]);
    await start('of-user', '--user', '1000:1000', '-v', `${disk.path}:/data`);
    expect(await findings('of-user')).toEqual([]);
    await expect(inside('of-user', write(40))).rejects.toThrow('quota exceeded');
    const [found, ...others] = await findings('of-user');
    expect(others).toEqual([]);
    expect(found).toMatchObject({ id: 'HF-D032', subject: { kind: 'container', name: 'of-user' } });
    expect(found?.message).toContain('user 1000 has 21.0 MB of the 21.0 MB that it may have');
    for (const command of found?.commands ?? []) await carryOut(command);
    await inside('of-user', write(30));
    expect(await findings('of-user')).toEqual([]);
    await remove('of-user');
  });

  test('of a project is told of once, and so is that of its files', async () => {
    await using disk = mountLoopFilesystem(type, options);
    const data = join(disk.path, 'app');
    mkdirSync(data);
    execFileSync('chattr', ['-p', '42', '+P', data]);
    execFileSync('setquota', ['-P', '42', '0', '20480', '0', '50', disk.path]);
    await start('project', '-v', `${data}:/data`);
    expect(await findings('project')).toEqual([]);
    const raise = async (): Promise<void> => {
      const [found, ...others] = await findings('project');
      expect(others).toEqual([]);
      expect(found).toMatchObject({ id: 'HF-D032' });
      expect(found?.message).toContain('project 42');
      for (const command of found?.commands ?? []) await carryOut(command);
    };
    await expect(inside('project', write(40))).rejects.toThrow(/quota exceeded|No space left/);
    await raise();
    await inside('project', write(30));
    const many = 'for i in $(seq 1 60); do touch /data/$i || exit 1; done';
    await expect(inside('project', many)).rejects.toThrow(/quota exceeded|No space left/);
    await raise();
    await inside('project', many);
    expect(await findings('project')).toEqual([]);
    await remove('project');
  });
});

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

test('a program on a mount that gives none the rights of its owner is told of, and runs after the commands', async () => {
  await using disk = mountLoopFilesystem('ext4', { sizeBytes: 32 << 20, mount: 'nosuid' });
  const ping = join(disk.path, 'ping');
  copyFileSync('/bin/busybox', ping);
  chmodSync(ping, 0o4755);
  chownSync(disk.path, 1000, 1000);
  // Without that, the kernel lets all users send a ping.
  const asRoot = ['--sysctl', 'net.ipv4.ping_group_range=1 0'];
  await on.engine.docker([
    ...['run', '-d', '--name', 'pinging', '--network=none', '--user', '1000:1000', ...asRoot],
    ...['-v', `${disk.path}:/tools`, 'busybox', 'sh', '-c', '/tools/ping -c 1 127.0.0.1 && sleep 100000'],
  ]);
  expect(await on.engine.docker(['wait', 'pinging'])).toBe('1');
  const [found, ...others] = await findings('pinging');
  expect(others).toEqual([]);
  expect(found).toMatchObject({ id: 'HF-D022', subject: { kind: 'container', name: 'pinging' } });
  expect(found?.message).toContain('"nosuid"');
  for (const command of found?.commands ?? []) await carryOut(command);
  await expect.poll(() => on.engine.docker(['logs', 'pinging'])).toContain('1 packets received');
  expect(await findings('pinging')).toEqual([]);
  await remove('pinging');
});

test('what keeps a disk busy is told by what its control group of version 2 counts there, through the cache too, and top tells the same disk', async () => {
  using disk = openSlowDisk(50);
  await volume('slow', { type: 'ext4', device: disk.device });
  await start('victim', '-v', 'slow:/data');
  const write = 'while true; do dd if=/dev/zero of=/data/$i bs=16k count=16 conv=fsync; done';
  const begin = async (name: string, onto: string): Promise<void> => {
    const shells = `for i in 1 2; do (${write}) & done; wait`;
    await on.engine.docker([
      ...['run', '-d', '--name', name, '--network=none', '-v', `${onto}:/data`],
      ...['busybox', 'sh', '-c', shells],
    ]);
  };
  await begin('hog', 'slow');
  await begin('elsewhere', 'elsewhere');
  const place = on.engine.volumePath('slow');
  const busy = async (): Promise<readonly Found[]> => {
    const { stdout } = await on.attempt(['doctor', 'victim', '--format', 'json']);
    const { findings: all } = JSON.parse(stdout) as { readonly findings: readonly Found[] };
    return all.filter(({ id, subject }) => id === 'HF-D061' && subject.name === place);
  };
  const counted: unknown = expect.stringMatching(/^"hog" reads and writes [\d.]+ [kMG]?B a second$/);
  const stop = ['docker', 'stop', 'hog'];
  const patience = { timeout: 120_000, interval: 500 };
  await expect
    .poll(busy, patience)
    .toMatchObject([{ commands: [stop], evidence: expect.arrayContaining([counted]) }]);
  const inTop = async (): Promise<boolean> => {
    const { stdout } = await on.run(['top', '--once', '--format', 'json']);
    const { volumes } = JSON.parse(stdout) as TopReport;
    const { how, latencyMs, busy: part } = volumes.find(({ name }) => name === 'slow') ?? {};
    return how === 'device' && (latencyMs ?? 0) >= 50 && (part ?? 0) > 0.8;
  };
  await expect.poll(inTop, patience).toBe(true);
  await carryOut([...stop, '-t', '0']);
  await expect.poll(busy, patience).toEqual([]);
  await inside('victim', 'echo content > /data/file && sync');
  for (const name of ['elsewhere', 'hog', 'victim', 'slow']) await remove(name);
});

test('top tells what a container reads and writes, on a disk and on an NFS server, as its engine and its processes count it', async () => {
  const { path } = await nfs.newExport();
  await volume('remote', { type: 'nfs', o: 'addr=127.0.0.1,nfsvers=4.2', device: `:${path}` });
  await start('app', '-v', 'remote:/remote', '-v', 'local:/local');
  const before = await engineCount('app');
  await using top = await startTop(on);
  const io = await inside(
    'app',
    [
      'dd if=/dev/zero of=/local/file bs=64k count=48 oflag=direct',
      'dd if=/local/file of=/dev/null bs=64k count=16 iflag=direct',
      'dd if=/dev/zero of=/remote/file bs=64k count=32 conv=fsync',
      'dd if=/remote/file of=/dev/null bs=64k count=8 iflag=direct',
      'cat /proc/$$/io',
    ].join(' && '),
  );
  await top.untilSeen();
  const after = await engineCount('app');
  const app = top.total('containers', 'app');
  expect(app).toEqual({ read: after.read - before.read, written: after.written - before.written });
  expect(app.written).toBe(3 << 20);
  expect(app.read).toBeGreaterThanOrEqual(1 << 20);
  const remote = top.total('volumes', 'remote');
  expect(remote).toEqual({ read: 512 << 10, written: 2 << 20 });
  expect(top.total('volumes', 'local')).toEqual(app);
  const ofProcesses = (field: string): number => Number(new RegExp(`^${field}: (\\d+)$`, 'm').exec(io)?.[1]);
  expect(ofProcesses('read_bytes')).toBe(app.read + remote.read);
  expect(ofProcesses('write_bytes')).toBe(app.written + remote.written);
  for (const name of ['app', 'remote', 'local']) await remove(name);
});

/** All that `docker stats` adds up, in bytes. */
async function engineCount(name: string): Promise<IoCount> {
  const asked = request({
    socketPath: on.engine.socket,
    path: `/containers/${name}/stats?stream=false&one-shot=true`,
  });
  asked.end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  const { blkio_stats } = (await json(answer)) as EngineStats;
  const sum = (wanted: string): number =>
    (blkio_stats.io_service_bytes_recursive ?? []).reduce(
      (all, { op, value }) => (op.toLowerCase() === wanted ? all + value : all),
      0,
    );
  return { read: sum('read'), written: sum('write') };
}

interface EngineStats {
  readonly blkio_stats: {
    readonly io_service_bytes_recursive: readonly { readonly op: string; readonly value: number }[] | null;
  };
}

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
