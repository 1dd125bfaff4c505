import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { basename, join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../../scripts/run-command.ts';
import { command } from '../support/holdfast-command.ts';
import { mountLoopFilesystem } from '../support/loop-filesystem.ts';
import { removeContainers } from '../docker/plugin-volume.ts';
import { startPrivateEngine } from '../docker/private-engine.ts';
import { onEngine } from '../support/on-engine.ts';
import { mountSilent } from '../support/silent-mount.ts';

const on = onEngine({ host: 'docker' });

/** Without a spare key, Holdfast itself is not well. */
beforeAll(async () => {
  await on.run(['key', 'add', '--new-key-file', join(on.engine.folder, 'spare.key')]);
});
/** Its containers would keep a further try from starting them, and be found by the tests after it. */
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await removeContainers(on.engine);
});

interface Found {
  readonly healthy: boolean;
  readonly findings: readonly {
    readonly id: string;
    readonly severity: string;
    readonly subject: { readonly kind: string; readonly name: string };
    readonly message: string;
    readonly evidence: readonly string[];
    readonly remedy: string;
    readonly commands: readonly (readonly string[])[];
    readonly fixable: boolean;
    readonly isHint: boolean;
  }[];
  readonly looked: object;
  readonly notLookedAt: readonly { readonly subject: string; readonly reason: string }[];
}

/** What the doctor says, with its exit number held to it. */
async function examine(...args: string[]): Promise<Found> {
  const { exit, stdout, stderr } = await on.attempt(['doctor', ...args, '--format', 'json']);
  const found = JSON.parse(stdout) as Found;
  expect(exit, stderr).toBe(found.findings.every(({ isHint }) => isHint) ? 0 : 1);
  return found;
}

/** Without those of the machine's load, which is not the tests'. */
async function findings(...args: string[]): Promise<Found['findings']> {
  return (await examine(...args)).findings.filter(({ id }) => !id.startsWith('HF-D06'));
}

/** Starts a container that waits. */
async function start(name: string, ...options: string[]): Promise<void> {
  await on.engine.docker(['run', '-d', '--name', name, ...options, 'busybox', 'sleep', '10000']);
}

async function inside(name: string, ...command: string[]): Promise<string> {
  return await on.engine.docker(['exec', name, ...command]);
}

/** A command that was printed for this engine. */
async function carryOut([program = '', ...args]: readonly string[]): Promise<void> {
  if (program === 'docker') await on.engine.docker(args);
  else execFileSync(program, args, { stdio: 'pipe' });
}

async function remove(...names: string[]): Promise<void> {
  await on.engine.docker(['rm', '-f', ...names]);
}

describe('a container that runs as a user', () => {
  test('and whose volume belongs to root gets the exact change, and writes after it', async () => {
    await start('denied', '--user', '1000:1001', '-v', 'of-root:/data');
    await expect(inside('denied', 'touch', '/data/file')).rejects.toThrow('Permission denied');
    const [found, ...others] = await findings('denied');
    expect(others).toEqual([]);
    expect(found).toMatchObject({
      id: 'HF-D001',
      subject: { kind: 'container', name: 'denied' },
      remedy: `Give all of "${on.engine.volumePath('of-root')}" that belongs to user 0 to 1000:1001, as which the container runs.`,
      commands: [['holdfast', 'doctor', 'denied', '--fix']],
      fixable: true,
    });
    expect(found?.message).toBe(
      '"denied" cannot write to "/data": it runs as user 1000, group 1001, and "/data" belongs to user 0 (root), group 0 with mode 0755',
    );
    expect((await on.attempt(['doctor', 'denied', '--fix'])).exit).toBe(2);
    expect(await findings('denied')).toHaveLength(1);
    expect((await on.attempt(['doctor', 'denied', '--fix', '--yes'])).exit).toBe(0);
    await inside('denied', 'touch', '/data/file');
    expect(await findings()).toEqual([]);
    await remove('denied');
  });

  test('is told of a folder on the way that is its own and closed, by its path too', async () => {
    const source = join(on.engine.folder, 'site');
    mkdirSync(join(source, 'private/deep'), { recursive: true });
    writeFileSync(join(source, 'private/deep/page'), 'content');
    for (const path of ['', 'private', 'private/deep', 'private/deep/page'])
      chownSync(join(source, path), 1000, 1000);
    chmodSync(join(source, 'private'), 0o200);
    await start('closed', '--user', '1000:1000', '-v', `${source}:/srv/site`);
    await expect(inside('closed', 'cat', '/srv/site/private/deep/page')).rejects.toThrow('Permission denied');
    const [found] = await findings(join(source, 'private/deep/page'));
    expect(found?.message).toContain('"closed" cannot enter "/srv/site/private"');
    expect(found).toMatchObject({
      remedy: `Let its owner do it: add u+x to "${join(source, 'private')}".`,
      commands: [['holdfast', 'doctor', join(source, 'private/deep/page'), '--fix']],
    });
    expect((await on.attempt(['doctor', join(source, 'private/deep/page'), '--fix', '--yes'])).exit).toBe(0);
    expect(await inside('closed', 'cat', '/srv/site/private/deep/page')).toBe('content');
    await remove('closed');
  });

  test('is told of files below its volume that were left to root, and no link is followed by the fix', async () => {
    await start('below', '--user', '1000:1000', '-v', 'below:/data');
    const data = on.engine.volumePath('below');
    const outside = join(on.engine.folder, 'outside');
    writeFileSync(outside, 'root alone', { mode: 0o600 });
    chownSync(data, 1000, 1000);
    await on.engine.docker([
      'exec',
      '-u',
      '0',
      'below',
      'sh',
      '-c',
      'echo secret > /data/key; chmod 600 /data/key',
    ]);
    await inside('below', 'ln', '-s', outside, '/data/planted');
    const [found] = await findings('below');
    expect(found?.message).toContain('cannot read and write to "/data/key"');
    expect((await on.attempt(['doctor', 'below', '--fix', '--yes'])).exit).toBe(0);
    expect(await inside('below', 'cat', '/data/key')).toBe('secret');
    expect(statSync(outside).uid).toBe(0);
    await remove('below');
  });

  test('by a name of its image, and has failed, is told of by the numbers there', async () => {
    await start('maker');
    const table = 'mkdir -p /etc; echo app:x:1234:1235::/: > /etc/passwd; echo app:x:1235: > /etc/group';
    await inside('maker', 'sh', '-c', table);
    await on.engine.docker(['commit', '-c', 'USER app', 'maker', 'with-user']);
    const failing = ['--name', 'failed', '-v', 'failed:/data', 'with-user', 'touch', '/data/file'];
    await expect(on.engine.docker(['run', ...failing])).rejects.toThrow('Permission denied');
    const [found, ...others] = await findings();
    expect(others).toEqual([]);
    expect(found?.message).toContain('"failed" cannot write to "/data": it runs as user 1234, group 1235');
    expect(found?.evidence).toContain(`on this machine it is "${on.engine.volumePath('failed')}"`);
    await on.run(['doctor', '--fix', '--yes']);
    await on.engine.docker(['start', 'failed']);
    expect(await on.engine.docker(['wait', 'failed'])).toBe('0');
    expect(await findings()).toEqual([]);
    await remove('maker', 'failed');
  });

  test('and shares the data of another one gets in by the fix, without taking it from that', async () => {
    await start('owner', '--user', '2000:2000', '-v', 'shared:/data');
    const data = on.engine.volumePath('shared');
    chownSync(data, 2000, 2000);
    chmodSync(data, 0o700);
    await start('guest', '--user', '1000:1000', '-v', 'shared:/data');
    const [found, ...others] = await findings('guest');
    expect(others).toEqual([]);
    expect(found).toMatchObject({
      id: 'HF-D001',
      fixable: true,
      commands: [['holdfast', 'doctor', 'guest', '--fix']],
    });
    // Without its name, the data of another one is not opened to it.
    await on.attempt(['doctor', '--fix', '--yes']);
    expect(await findings('guest')).toHaveLength(1);
    expect((await on.attempt(['doctor', 'guest', '--fix', '--yes'])).exit).toBe(0);
    expect(execFileSync('getfacl', ['-cpn', data], { encoding: 'utf8' }).trim().split('\n')).toEqual([
      ...['user::rwx', 'user:1000:rwx', 'group::---', 'mask::rwx', 'other::---'],
    ]);
    for (const name of ['guest', 'owner']) {
      await inside(name, 'touch', `/data/${name}`);
      expect(await findings(name)).toEqual([]);
    }
    await remove('owner', 'guest');
  });

  test('and whom an ACL lets in, but not its mask, gets in by the fix that widens the mask, and no other does', async () => {
    await start('masked', '--user', '1000:1000', '-v', 'masked:/data');
    const data = on.engine.volumePath('masked');
    chownSync(data, 3000, 3000);
    execFileSync('setfacl', ['-m', 'u:1000:rwx,u:4000:rwx', data]);
    await inside('masked', 'touch', '/data/before');
    expect(await findings('masked')).toEqual([]);
    // As the "chmod -R g-w" of a script does.
    chmodSync(data, 0o750);
    await expect(inside('masked', 'touch', '/data/after')).rejects.toThrow('Permission denied');
    const [found, ...others] = await findings('masked');
    expect(others).toEqual([]);
    expect(found).toMatchObject({ id: 'HF-D001', fixable: true });
    expect(found?.remedy).toContain('widen the mask');
    expect((await on.attempt(['doctor', 'masked', '--fix', '--yes'])).exit).toBe(0);
    expect(execFileSync('getfacl', ['-cpn', data], { encoding: 'utf8' })).toMatch(/^user:4000:r-x$/m);
    await inside('masked', 'touch', '/data/after');
    expect(statSync(data).uid).toBe(3000);
    expect(await findings('masked')).toEqual([]);
    await remove('masked');
  });

  test('and a folder of its image that is closed is no matter of the volume', async () => {
    await start('image', '--user', '1000:1000', '-v', 'image:/tmp/private/data');
    await on.engine.docker(['exec', '-u', '0', 'image', 'chmod', '700', '/tmp/private']);
    chownSync(on.engine.volumePath('image'), 1000, 1000);
    const [found] = await findings('image');
    expect(found?.message).toContain('"image" cannot enter "/tmp/private"');
    expect(found).toMatchObject({ fixable: false });
    const [[, ...command] = []] = found?.commands ?? [];
    await on.engine.docker(command);
    await inside('image', 'touch', '/tmp/private/data/file');
    expect(await findings('image')).toEqual([]);
    await remove('image');
  });
});

test('a container whose path leads elsewhere gets nothing changed on the machine', async () => {
  await start('planter', '--user', '1000:1000', '-v', 'planted:/tmp/open/data');
  await on.engine.docker([
    'exec',
    '-u',
    '0',
    'planter',
    'sh',
    '-c',
    'mkdir -p /tmp/trap/data && mv /tmp/open /tmp/moved && ln -s trap /tmp/open',
  ]);
  const [found] = await findings('planter');
  expect(found).toMatchObject({ id: 'HF-D001', fixable: false });
  expect(JSON.stringify(found)).not.toContain(on.engine.dataRoot);
  expect((await on.attempt(['doctor', 'planter', '--fix', '--yes'])).exit).toBe(1);
  expect(statSync(on.engine.volumePath('planted')).uid).toBe(0);
  await remove('planter');
});

test('another user of the machine gets what that user may see, and remarks for the rest', async () => {
  await start('others', '--user', '1000:1000', '-v', 'others:/data');
  chmodSync(on.engine.folder, 0o755);
  chmodSync(on.engine.socket, 0o666);
  const state = join(on.engine.folder, 'nobody');
  mkdirSync(state);
  chownSync(state, 65_534, 65_534);
  const user = ['--reuid=65534', '--regid=65534', '--clear-groups'];
  const { stdout, output, exitCode } = await runCommand(
    'setpriv',
    [...user, command, 'doctor', 'others', '--format', 'json'],
    { env: { ...process.env, ...on.environment(), HOME: state, HOLDFAST_STATE_DIR: join(state, 'state') } },
  );
  expect(exitCode, output).toBe(0);
  const { notLookedAt } = JSON.parse(stdout) as Found;
  expect(notLookedAt).toContainEqual({ subject: '"/data" of "others"', reason: 'this needs root' });
  await remove('others');
});

describe('a source', () => {
  test('that was missing when a file was meant is told of, and the file is read after what is said was done', async () => {
    const config = join(on.engine.folder, 'app.conf');
    await start('no-file', '-v', `${config}:/etc/app.conf`);
    await expect(inside('no-file', 'cat', '/etc/app.conf')).rejects.toThrow('directory');
    const [found] = await findings('no-file');
    expect(found).toMatchObject({
      id: 'HF-D013',
      commands: [
        ['rmdir', config],
        ['docker', 'rm', '-f', 'no-file'],
      ],
    });
    rmdirSync(config);
    await remove('no-file');
    writeFileSync(config, 'port=1');
    await start('no-file', '-v', `${config}:/etc/app.conf`);
    expect(await inside('no-file', 'cat', '/etc/app.conf')).toBe('port=1');
    expect(await findings('no-file')).toEqual([]);
    await remove('no-file');
  });

  test('that is gone is told of; the fix makes it for the user of the container, which starts', async () => {
    const source = join(on.engine.folder, 'gone/deep');
    mkdirSync(source, { recursive: true });
    const mount = ['--mount', `type=bind,source=${source},target=/data`];
    await start('gone', '--user', '1000:1000', ...mount);
    await on.engine.docker(['stop', '-t', '0', 'gone']);
    rmSync(join(on.engine.folder, 'gone'), { recursive: true });
    await expect(on.engine.docker(['start', 'gone'])).rejects.toThrow('does not exist');
    const [found] = await findings('gone');
    expect(found).toMatchObject({ id: 'HF-D012', fixable: true });
    await on.run(['doctor', 'gone', '--fix', '--yes']);
    await on.engine.docker(['start', 'gone']);
    await inside('gone', 'touch', '/data/file');
    expect(await findings('gone')).toEqual([]);
    await remove('gone');
  });

  test('that is gone and was a file, or the folder of a volume, is brought back and not made up', async () => {
    const source = join(on.engine.folder, 'app.ini');
    writeFileSync(source, 'port=1');
    const mounts = ['--mount', `type=bind,source=${source},target=/etc/app.ini`, '-v', 'kept:/data'];
    await start('sourceless', ...mounts);
    await on.engine.docker(['stop', '-t', '0', 'sourceless']);
    const data = on.engine.volumePath('kept');
    for (const path of [source, data]) renameSync(path, `${path}.away`);
    const found = await findings('sourceless');
    const startIt = ['docker', 'start', 'sourceless'];
    expect(found).toMatchObject([
      { id: 'HF-D012', fixable: false, commands: [['holdfast', 'restore', 'kept'], startIt] },
      { id: 'HF-D012', fixable: false, remedy: 'Put the file back.', commands: [startIt] },
    ]);
    for (const path of [source, data]) renameSync(`${path}.away`, path);
    await carryOut(startIt);
    expect(await findings('sourceless')).toEqual([]);
    await remove('sourceless');
  });

  test('that was moved away while its container runs is told of before its data is lost', async () => {
    const source = join(on.engine.folder, 'away');
    mkdirSync(source);
    await start('away', '-v', `${source}:/data`);
    renameSync(source, `${source}.moved`);
    await inside('away', 'sh', '-c', 'echo rows > /data/file');
    const [found, ...others] = await findings('away');
    expect(others).toEqual([]);
    expect(found).toMatchObject({ id: 'HF-D012', severity: 'loss', fixable: false });
    expect(found?.commands).toEqual([['mv', '-nT', `${source}.moved`, source]]);
    const [[program = '', ...args] = []] = found?.commands ?? [];
    execFileSync(program, args);
    await on.engine.docker(['restart', '-t', '0', 'away']);
    expect(await inside('away', 'cat', '/data/file')).toBe('rows');
    expect(await findings('away')).toEqual([]);
    await remove('away');
  });

  test('that was removed under a running container is told of as lost, until it is brought back', async () => {
    const source = join(on.engine.folder, 'removed');
    mkdirSync(source);
    await start('removed', '-v', `${source}:/data`);
    rmdirSync(source);
    await expect(inside('removed', 'touch', '/data/file')).rejects.toThrow('No such file');
    const [found, ...others] = await findings('removed');
    expect(others).toEqual([]);
    expect(found).toMatchObject({ id: 'HF-D012', severity: 'loss', fixable: false });
    mkdirSync(source);
    expect(found?.commands).toEqual([['docker', 'restart', 'removed']]);
    await on.engine.docker(['restart', '-t', '0', 'removed']);
    await inside('removed', 'touch', '/data/file');
    expect(await findings('removed')).toEqual([]);
    await remove('removed');
  });

  test('that was replaced under a running container is told of, until that is restarted', async () => {
    const source = join(on.engine.folder, 'moved');
    mkdirSync(source);
    await start('moved', '-v', `${source}:/data`);
    renameSync(source, `${source}.old`);
    mkdirSync(source);
    const [found] = await findings('moved');
    expect(found).toMatchObject({ id: 'HF-D014', commands: [['docker', 'restart', 'moved']] });
    await on.engine.docker(['restart', '-t', '0', 'moved']);
    writeFileSync(join(source, 'file'), 'seen');
    expect(await inside('moved', 'cat', '/data/file')).toBe('seen');
    expect(await findings('moved')).toEqual([]);
    await remove('moved');
  });

  test('that was replaced and is only read costs no data', async () => {
    const source = join(on.engine.folder, 'read');
    mkdirSync(source);
    await start('reading', '-v', `${source}:/data:ro`);
    renameSync(source, `${source}.old`);
    mkdirSync(source);
    const [found] = await findings('reading');
    expect(found).toMatchObject({ id: 'HF-D014', severity: 'downtime' });
    await on.engine.docker(['restart', '-t', '0', 'reading']);
    expect(await findings('reading')).toEqual([]);
    await remove('reading');
  });
});

/** Its first words, if there is one finding and no other. */
async function only(name: string, id: string): Promise<Found['findings'][number] | undefined> {
  const [found, ...others] = await findings(name);
  expect(others).toEqual([]);
  expect(found).toMatchObject({ id, subject: { kind: 'container', name } });
  return found;
}

describe('what owner and mode do not show', () => {
  test('a folder of a volume that is mounted alone is judged and mended by itself', async () => {
    const data = on.engine.volumePath('parts');
    await on.engine.docker(['volume', 'create', 'parts']);
    mkdirSync(join(data, 'app'));
    const mount = ['--mount', 'type=volume,source=parts,target=/data,volume-subpath=app'];
    await start('part', '--user', '1000:1000', ...mount);
    const found = await only('part', 'HF-D001');
    expect(found?.remedy).toContain(`"${join(data, 'app')}" that belongs to user 0 to 1000:1000`);
    await on.engine.docker(['stop', '-t', '0', 'part']);
    expect((await only('part', 'HF-D001'))?.remedy).toBe(found?.remedy);
    expect((await on.attempt(['doctor', 'part', '--fix', '--yes'])).exit).toBe(0);
    await on.engine.docker(['start', 'part']);
    await inside('part', 'touch', '/data/file');
    expect(statSync(data).uid).toBe(0);
    expect(await findings('part')).toEqual([]);
    await remove('part');
  });

  test('a folder that is immutable, and a file that is append-only, are told of, and changed after the command', async () => {
    await using disk = mountLoopFilesystem('ext4', { sizeBytes: 32 << 20 });
    await start('kept-still', '-v', `${disk.path}:/data`);
    writeFileSync(join(disk.path, 'log'), 'line\n');
    execFileSync('chattr', ['+a', join(disk.path, 'log')]);
    await expect(inside('kept-still', 'truncate', '-s', '0', '/data/log')).rejects.toThrow('not permitted');
    const file = await only('kept-still', 'HF-D023');
    expect(file?.message).toContain('"/data/log" in "kept-still" is append-only');
    execFileSync('chattr', ['+i', disk.path]);
    await expect(inside('kept-still', 'touch', '/data/file')).rejects.toThrow('not permitted');
    const folder = await only('kept-still', 'HF-D023');
    expect(folder?.commands).toEqual([['chattr', '-i', disk.path]]);
    for (const words of [...(folder?.commands ?? []), ...(file?.commands ?? [])]) await carryOut(words);
    await inside('kept-still', 'sh', '-c', 'touch /data/file; truncate -s 0 /data/log');
    expect(await findings('kept-still')).toEqual([]);
    await remove('kept-still');
  });

  test('a program on a mount that runs none is told of, and runs after the commands', async () => {
    await using disk = mountLoopFilesystem('ext4', { sizeBytes: 32 << 20, mount: 'noexec' });
    writeFileSync(join(disk.path, 'run'), '#!/bin/sh\nsleep 10000\n', { mode: 0o755 });
    const run = ['run', '-d', '--name', 'no-programs', '-v', `${disk.path}:/app`, 'busybox', '/app/run'];
    await expect(on.engine.docker(run)).rejects.toThrow('permission denied');
    const found = await only('no-programs', 'HF-D022');
    for (const words of found?.commands ?? []) await carryOut(words);
    await inside('no-programs', 'true');
    expect(await findings('no-programs')).toEqual([]);
    await remove('no-programs');
  });

  test('a container that fails with a file system of its own that is read-only is told of by its name', async () => {
    const run = ['run', '-d', '--name', 'rootless', '--read-only', '-v', 'rootless:/data'];
    const work = ['busybox', 'sh', '-c', 'mkdir -p /scratch/x'];
    await on.engine.docker([...run, ...work]);
    await on.engine.docker(['wait', 'rootless']);
    const found = await only('rootless', 'HF-D021');
    expect(found?.evidence).toContain('it can write to "/data"');
    await remove('rootless');
    await on.engine.docker([...run, '--tmpfs', '/scratch', ...work]);
    expect(await on.engine.docker(['wait', 'rootless'])).toBe('0');
    expect(await findings('rootless')).toEqual([]);
    await remove('rootless');
  });

  test('a full folder in memory is told of without a name, and takes writes after the command', async () => {
    await start('in-memory', '--shm-size', '1m');
    const write = ['dd', 'if=/dev/zero', 'of=/dev/shm/rows', 'bs=64k'];
    await expect(inside('in-memory', ...write, 'count=20')).rejects.toThrow('No space left');
    expect(await findings()).toMatchObject([{ id: 'HF-D034', subject: { name: 'in-memory' } }]);
    const found = await only('in-memory', 'HF-D034');
    const [look = [], restart = []] = found?.commands ?? [];
    expect(await on.engine.docker(look.slice(1))).toContain('/dev/shm/rows');
    await carryOut([...restart.slice(0, 2), '-t', '0', ...restart.slice(2)]);
    await inside('in-memory', ...write, 'count=4');
    expect(await findings('in-memory')).toEqual([]);
    await remove('in-memory');
  });

  test('open files at their limit are told of until that is raised, and a file that was too large', async () => {
    const open = 'for i in $(seq 1 61); do touch /data/$i; done; cd /data; exec tail -f *';
    const run = ['run', '-d', '--name', 'limits', '-v', 'limits:/data'];
    await on.engine.docker([...run, '--ulimit', 'nofile=64:64', 'busybox', 'sh', '-c', open]);
    await expect.poll(() => findings('limits')).toMatchObject([{ id: 'HF-D035' }]);
    const found = await only('limits', 'HF-D035');
    expect(found?.message).toContain('has 64 files open, of 64 that it may');
    await remove('limits');
    await on.engine.docker([...run, '--ulimit', 'nofile=128:128', 'busybox', 'sh', '-c', open]);
    await expect.poll(() => inside('limits', 'ls', '/proc/1/fd')).toContain('63');
    expect(await findings('limits')).toEqual([]);
    await remove('limits');
    const write = 'dd if=/dev/zero of=/data/rows bs=1k count=64; exit $?';
    await on.engine.docker([...run, '--ulimit', 'fsize=32768', 'busybox', 'sh', '-c', write]);
    expect(await on.engine.docker(['wait', 'limits'])).toBe('153');
    await only('limits', 'HF-D035');
    await remove('limits');
  });
});

test('a file system that became read-only is told of, and works after the command', async () => {
  await using disk = mountLoopFilesystem('ext4', { sizeBytes: 32 << 20 });
  await start('frozen', '-v', `${disk.path}:/data`);
  disk.remount('ro');
  await expect(inside('frozen', 'touch', '/data/file')).rejects.toThrow('Read-only file system');
  const [found, ...others] = await findings('frozen');
  expect(others).toEqual([]);
  expect(found).toMatchObject({ id: 'HF-D020' });
  const [program = '', ...args] = found?.commands.at(-1) ?? [];
  execFileSync(program, args);
  await inside('frozen', 'touch', '/data/file');
  expect(await findings('frozen')).toEqual([]);
  await remove('frozen');
});

test('a source that is mounted read-only is told of, and works when it is writable and the container restarted', async () => {
  const [disk, source] = [join(on.engine.folder, 'disk'), join(on.engine.folder, 'read-only')];
  for (const path of [disk, source]) mkdirSync(path);
  execFileSync('mount', ['--bind', disk, source]);
  try {
    execFileSync('mount', ['-o', 'remount,bind,ro', source]);
    await start('no-writes', '-v', `${source}:/data`);
    await expect(inside('no-writes', 'touch', '/data/file')).rejects.toThrow('Read-only file system');
    const [found, ...others] = await findings('no-writes');
    expect(others).toEqual([]);
    expect(found).toMatchObject({ id: 'HF-D020', commands: [['docker', 'restart', 'no-writes']] });
    execFileSync('mount', ['-o', 'remount,bind,rw', source]);
    await on.engine.docker(['restart', '-t', '0', 'no-writes']);
    await inside('no-writes', 'touch', '/data/file');
    expect(await findings('no-writes')).toEqual([]);
    await remove('no-writes');
  } finally {
    execFileSync('umount', [source]);
  }
});

test('a container that fails at a mount that was asked to be read-only is told of by its name', async () => {
  const options = [
    'run',
    '-d',
    '--name',
    'needs-write',
    '-v',
    'config:/data:ro',
    'busybox',
    'touch',
    '/data/x',
  ];
  await on.engine.docker(options);
  await on.engine.docker(['wait', 'needs-write']);
  expect((await findings('needs-write')).map(({ id }) => id)).toEqual(['HF-D021']);
  await remove('needs-write');
  await on.engine.docker(options.map((word) => word.replace(':ro', '')));
  expect(await on.engine.docker(['wait', 'needs-write'])).toBe('0');
  expect(await findings('needs-write')).toEqual([]);
  await remove('needs-write');
});

test('a mount that hangs below what a container has is not waited for, and neither is it by the fix', async () => {
  const source = join(on.engine.folder, 'with-nas');
  const nas = join(source, 'nas');
  mkdirSync(nas, { recursive: true });
  // Before the mount is there, so that its own namespace has none.
  await start('beside', '--user', '1000:1000', '-v', `${source}:/data`);
  try {
    await using storage = mountSilent(join(on.engine.folder, 'cipher'), nas);
    storage.stop();
    expect((await findings()).map(({ id, subject }) => `${id} ${subject.name}`)).toEqual([`HF-D010 ${nas}`]);
    expect(await findings('beside')).toMatchObject([{ id: 'HF-D001', fixable: true }]);
    expect((await on.attempt(['doctor', 'beside', '--fix', '--yes'])).exit).toBe(0);
    await inside('beside', 'touch', '/data/file');
  } finally {
    await remove('beside');
  }
});

test('a server of a volume whose name nothing knows, or whose port is closed, is told of', async () => {
  const create = async (name: string, addr: string): Promise<void> => {
    const options = ['type=nfs', `o=addr=${addr},nfsvers=4`, 'device=:/srv'];
    await on.engine.docker(['volume', 'create', ...options.flatMap((option) => ['-o', option]), name]);
  };
  await create('unknown', 'nas.invalid');
  expect(await findings('unknown')).toMatchObject([{ id: 'HF-D050', subject: { name: 'nas.invalid' } }]);
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await create('known', `127.0.0.1,port=${port}`);
  expect(await findings('known')).toEqual([]);
  server.close();
  await once(server, 'close');
  expect(await findings('known')).toMatchObject([{ id: 'HF-D051', subject: { name: '127.0.0.1' } }]);
  await on.engine.docker(['volume', 'rm', 'unknown', 'known']);
});

test('a volume on a folder that is not there is told of, and the fix makes that', async () => {
  const folder = join(on.engine.folder, 'not-there');
  const options = ['-o', 'type=none', '-o', 'o=bind', '-o', `device=${folder}`];
  await on.engine.docker(['volume', 'create', ...options, 'on-folder']);
  const use = ['run', '--rm', '-v', 'on-folder:/data', 'busybox', 'touch', '/data/file'];
  await expect(on.engine.docker(use)).rejects.toThrow('no such file');
  expect(await findings('on-folder')).toMatchObject([{ id: 'HF-D016', fixable: true }]);
  await on.run(['doctor', 'on-folder', '--fix', '--yes']);
  await on.engine.docker(use);
  expect(await findings('on-folder')).toEqual([]);
  await on.engine.docker(['volume', 'rm', 'on-folder']);
});

test('a volume on a disk that is not there is told of, and works when the disk has come', async () => {
  const [image, disk] = [join(on.engine.folder, 'image'), `/dev/${basename(on.engine.folder)}-disk`];
  writeFileSync(image, '');
  truncateSync(image, 32 << 20);
  execFileSync('mkfs.ext4', ['-q', image]);
  const options = ['-o', 'type=ext4', '-o', `device=${disk}`];
  await on.engine.docker(['volume', 'create', ...options, 'on-disk']);
  const use = ['run', '--rm', '-v', 'on-disk:/data', 'busybox', 'touch', '/data/file'];
  await expect(on.engine.docker(use)).rejects.toThrow();
  const [found, ...others] = await findings('on-disk');
  expect(others).toEqual([]);
  expect(found).toMatchObject({ id: 'HF-D016', fixable: false, commands: [['lsblk', '-f']] });
  const loop = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim();
  try {
    symlinkSync(loop, disk);
    await on.engine.docker(use);
    expect(await findings('on-disk')).toEqual([]);
    await on.engine.docker(['volume', 'rm', 'on-disk']);
  } finally {
    rmSync(disk, { force: true });
    execFileSync('losetup', ['--detach', loop]);
  }
});

test('anonymous volumes that a removed container has left are told of with what they hold', async () => {
  await on.engine.docker([
    'run',
    '--name',
    'anonymous',
    '-v',
    '/var/lib/data',
    'busybox',
    'touch',
    '/var/lib/data/rows',
  ]);
  expect(await findings()).toEqual([]);
  await remove('anonymous');
  const [found, ...others] = await findings();
  expect(others).toEqual([]);
  expect(found).toMatchObject({ id: 'HF-D084' });
  expect(found?.evidence.join()).toContain('holds "rows"');
  await on.engine.docker((found?.commands[0] ?? []).slice(1));
  expect(await findings()).toEqual([]);
});

test('a volume without its folder, and a folder that the engine does not know, are told of', async () => {
  await on.engine.docker(['volume', 'create', 'lost']);
  rmSync(on.engine.volumePath('lost'), { recursive: true });
  await expect(on.engine.docker(['run', '--rm', '-v', 'lost:/data', 'busybox', 'true'])).rejects.toThrow();
  expect(await findings()).toMatchObject([{ id: 'HF-D080', subject: { name: 'lost' }, fixable: false }]);
  mkdirSync(on.engine.volumePath('lost'), { recursive: true });
  await on.engine.docker(['run', '--rm', '-v', 'lost:/data', 'busybox', 'touch', '/data/file']);
  mkdirSync(on.engine.volumePath('by-hand'), { recursive: true });
  expect(await findings()).toMatchObject([{ id: 'HF-D085' }]);
  await on.engine.restart();
  expect(await findings()).toEqual([]);
  await on.engine.docker(['volume', 'rm', 'lost', 'by-hand']);
});

test('a program that restarts containers is told of while it runs with the socket', async () => {
  await on.engine.docker(['tag', 'busybox', 'containrrr/watchtower']);
  const options = ['-d', '--name', 'tower', '-v', `${on.engine.socket}:/var/run/docker.sock`];
  await on.engine.docker(['run', ...options, 'containrrr/watchtower', 'sleep', '10000']);
  const [found, ...others] = await findings();
  expect(others).toEqual([]);
  expect(found).toMatchObject({ id: 'HF-D070', commands: [['docker', 'stop', 'tower']] });
  await on.engine.docker(['stop', '-t', '0', 'tower']);
  expect(await findings()).toEqual([]);
  await remove('tower');
});

test('a neighbour that keeps the disk busy is named, and not when it has stopped', async () => {
  await using disk = mountLoopFilesystem('ext4', { sizeBytes: 64 << 20 });
  await start('slow', '-v', `${disk.path}:/data`);
  const write =
    'for i in 1 2 3 4; do (while true; do dd if=/dev/zero of=/hog/$i bs=4k count=2000 oflag=direct; done) & done; wait';
  const hog = ['run', '-d', '--name', 'hog', '-v', `${disk.path}:/hog`, 'busybox', 'sh', '-c', write];
  await on.engine.docker(hog);
  const busy = async (): Promise<Found['findings'][number] | undefined> =>
    (await examine('slow')).findings.find(
      ({ id, subject }) => id === 'HF-D061' && subject.name === disk.path,
    );
  await expect.poll(busy).toMatchObject({ commands: [['docker', 'stop', 'hog']] });
  await on.engine.docker(['stop', '-t', '0', 'hog']);
  await expect.poll(busy).toBeUndefined();
  await remove('slow', 'hog');
});

test('a program in a control group that has a container’s name is not taken for that container', async () => {
  await using disk = mountLoopFilesystem('ext4', { sizeBytes: 64 << 20 });
  await start('blamed', '-v', `${disk.path}:/data`);
  const id = await on.engine.docker(['inspect', '-f', '{{.Id}}', 'blamed']);
  const groups = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup'].find((path) => existsSync(path)) ?? '';
  const group = join(groups, basename(on.engine.folder), id);
  mkdirSync(group, { recursive: true });
  const loop = 'while true; do dd if=/dev/zero of="$0/$i" bs=4k count=2000 oflag=direct; done';
  const write = `echo $$ > "$1/cgroup.procs"; for i in 1 2 3 4; do (${loop}) & done; wait`;
  const writer = spawn('sh', ['-c', write, disk.path, group], {
    stdio: 'ignore',
    detached: true,
  });
  const ended = once(writer, 'exit');
  try {
    const busy = async (): Promise<Found['findings'][number] | undefined> =>
      (await examine('blamed')).findings.find(
        ({ id: found, subject }) => found === 'HF-D061' && subject.name === disk.path,
      );
    await expect.poll(async () => (await busy())?.evidence.join()).toContain('of no container here');
    expect((await busy())?.commands ?? []).toEqual([]);
  } finally {
    process.kill(-(writer.pid ?? 0), 'SIGKILL');
    await ended;
    await expect.poll(() => readFileSync(join(group, 'cgroup.procs'), 'utf8')).toBe('');
    for (const path of [group, join(group, '..')]) rmdirSync(path);
  }
  await remove('blamed');
});

describe('Holdfast itself', () => {
  test('has a repository that cannot be reached, and is well when it can', async () => {
    const { repository } = on.cli;
    renameSync(repository, `${repository}.away`);
    expect(await findings()).toMatchObject([{ id: 'HF-D090' }]);
    renameSync(`${repository}.away`, repository);
    expect(await findings()).toEqual([]);
  });

  test('has its only key in its own folder', async () => {
    const { stdout } = await on.run(['key', 'list', '--format', 'json']);
    const spare = (JSON.parse(stdout) as { id: string; isCurrent: boolean }[]).find((key) => !key.isCurrent);
    await on.run(['key', 'remove', spare?.id ?? '']);
    expect(await findings()).toMatchObject([{ id: 'HF-D091' }]);
    await on.run(['key', 'add', '--new-key-file', join(on.engine.folder, 'spare-2.key')]);
    expect(await findings()).toEqual([]);
  });

  test('has policies and no daemon', async () => {
    await on.engine.docker(['volume', 'create', 'planned']);
    const file = join(on.cli.stateDir, 'holdfast.yaml');
    writeFileSync(file, 'policies:\n  nightly:\n    schedule: "0 3 * * *"\n    volumes: [planned]\n');
    expect(await findings()).toMatchObject([{ id: 'HF-D092' }]);
    const daemon = on.start(['daemon']);
    await expect.poll(async () => (await findings()).length).toBe(0);
    await daemon.kill();
    rmSync(file);
    await on.engine.docker(['volume', 'rm', 'planned']);
  });
});

test('a container that does not run is not called healthy when it is asked for', async () => {
  await on.engine
    .docker(['run', '--name', 'ended', '-v', 'ended:/data', 'busybox', 'sh', '-c', 'exit 3'])
    .catch(() => undefined);
  const found = await examine('ended');
  expect(found).toMatchObject({ healthy: false, findings: [] });
  expect(found.notLookedAt).toEqual([
    {
      subject: 'what "ended" meets while it runs',
      reason: 'it is exited (3), and only its mounts were looked at',
    },
  ]);
  await remove('ended');
});

test('an engine whose root is another user gets the exact number on the machine, running or not', async () => {
  await using engine = await startPrivateEngine({ firstUser: 700_000 });
  await engine.importBusybox();
  const env = { DOCKER_HOST: engine.dockerHost };
  const look = async (name: string): Promise<Found['findings']> => {
    const { stdout } = await on.attempt(['doctor', name, '--format', 'json'], { env });
    return (JSON.parse(stdout) as Found).findings.filter(({ id }) => !id.startsWith('HF-D06'));
  };
  const run = ['run', '-d', '--name'];
  const wait = ['busybox', 'sleep', '10000'];
  const source = join(engine.folder, 'source');
  mkdirSync(source);
  // Root of the machine has no number there.
  const mount = ['--mount', `type=bind,source=${source},target=/data`];
  await engine.docker([...run, 'as-root', ...mount, ...wait]);
  await expect(engine.docker(['exec', 'as-root', 'touch', '/data/file'])).rejects.toThrow(
    'Permission denied',
  );
  const [asRoot, ...none] = await look('as-root');
  expect(none).toEqual([]);
  expect(asRoot).toMatchObject({
    id: 'HF-D001',
    remedy: expect.stringContaining(`"${source}" that belongs to user 0 to 700000:700000`),
    fixable: true,
  });
  expect((await on.attempt(['doctor', 'as-root', '--fix', '--yes'], { env })).exit).toBe(0);
  await engine.docker(['exec', 'as-root', 'touch', '/data/file']);
  expect(await look('as-root')).toEqual([]);
  // Another user of a volume, which belongs to the containers' root.
  await engine.docker([...run, 'as-user', '--user', '1000:1001', '-v', 'mapped:/data', ...wait]);
  const change = {
    id: 'HF-D001',
    remedy: expect.stringContaining(
      `"${engine.volumePath('mapped')}" that belongs to user 700000 to 701000:701001`,
    ),
  };
  expect(await look('as-user')).toMatchObject([change]);
  await engine.docker(['stop', '-t', '0', 'as-user']);
  expect(await look('as-user')).toMatchObject([change]);
  await engine.docker(['start', 'as-user']);
  expect((await on.attempt(['doctor', 'as-user', '--fix', '--yes'], { env })).exit).toBe(0);
  await engine.docker(['exec', 'as-user', 'touch', '/data/file']);
  expect(await look('as-user')).toEqual([]);
  // A source that is made anew is that user's, too.
  await engine.docker(['stop', '-t', '0', 'as-root']);
  rmSync(source, { recursive: true });
  await expect(engine.docker(['start', 'as-root'])).rejects.toThrow('does not exist');
  expect(await look('as-root')).toMatchObject([{ id: 'HF-D012', fixable: true }]);
  expect((await on.attempt(['doctor', 'as-root', '--fix', '--yes'], { env })).exit).toBe(0);
  await engine.docker(['start', 'as-root']);
  await engine.docker(['exec', 'as-root', 'touch', '/data/file']);
});

test('data of another version of PostgreSQL than the image is told of, until the image is the right one', async () => {
  writeFileSync(join(on.engine.folder, 'PG_VERSION'), '14\n');
  const run = (version: string): Promise<void> =>
    start('pg', '-e', `PG_MAJOR=${version}`, '-v', 'pg:/var/lib/postgresql/data');
  await run('14');
  await on.engine.docker(['cp', join(on.engine.folder, 'PG_VERSION'), 'pg:/var/lib/postgresql/data/']);
  expect(await findings('pg')).toEqual([]);
  await remove('pg');
  await run('16');
  expect(await findings()).toMatchObject([
    { id: 'HF-D025', subject: { kind: 'container', name: 'pg' }, fixable: false, commands: [] },
  ]);
  await remove('pg');
});

test('what is healthy is left alone', async () => {
  const config = join(on.engine.folder, 'config');
  writeFileSync(config, 'setting', { mode: 0o644 });
  await start('as-root', '-v', 'healthy:/data', '-v', `${config}:/etc/config`);
  await start('reader', '--user', '1000', '-v', 'healthy:/data:ro', '-v', `${config}:/etc/config`);
  expect(await findings()).toEqual([]);
  const found = await examine('as-root');
  expect(found).toMatchObject({ notLookedAt: [], looked: { containers: 1, volumes: 1, mounts: 2 } });
  await remove('as-root', 'reader');
});

test('a name that nothing has is not found', async () => {
  expect((await on.attempt(['doctor', 'nothing'])).exit).toBe(4);
});

test('a path at which there is nothing is not found', async () => {
  const { exit, stderr } = await on.attempt(['doctor', join(on.engine.folder, 'no-folder')]);
  expect(exit).toBe(4);
  expect(stderr).toContain('There is nothing at');
});

test('without its engine, no name is called missing and nothing is called healthy', async () => {
  const env = { DOCKER_HOST: `unix://${join(on.engine.folder, 'no-engine.sock')}` };
  const named = await on.attempt(['doctor', 'nothing'], { env });
  expect(named).toMatchObject({ exit: 1, stderr: expect.stringContaining('no-engine.sock') });
  const all = await on.attempt(['doctor'], { env });
  expect(all.stdout).toContain('Not looked at: containers and volumes');
  expect(all.stdout).not.toContain('Healthy');
});
