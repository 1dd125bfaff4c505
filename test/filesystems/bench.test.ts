import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { Cli } from '../cli/cli.ts';
import { mountLoopFilesystem } from '../support/loop-filesystem.ts';

test('a disk that fills up during a benchmark is an error, and has its room again', async () => {
  await using opened = new AsyncDisposableStack();
  const disk = opened.use(mountLoopFilesystem('xfs'));
  const cli = opened.use(new Cli());
  const root = await cli.volume('pg');
  const data = join(disk.path, 'data');
  mkdirSync(data);
  execFileSync('mount', ['--bind', data, root]);
  opened.defer(() => void execFileSync('umount', [root]));
  const roomOf = (): number => {
    const { bavail, bsize } = statfsSync(disk.path);
    return bavail * bsize;
  };
  const running = cli.attempt(['bench', 'pg', '--quick', '--size', '1MiB', '--profile', 'stream,files']);
  await expect.poll(() => readdirSync(root).length, { interval: 5, timeout: 30_000 }).toBeGreaterThan(0);
  const ballast = join(disk.path, 'ballast');
  execFileSync('fallocate', ['-l', String(roomOf() - 2 ** 21), ballast]);
  // The last megabytes: until there is no room.
  spawnSync('dd', ['if=/dev/zero', `of=${ballast}-2`, 'bs=4k']);
  expect(await running).toMatchObject({ exit: 1, stderr: expect.stringContaining('the disk is full') });
  expect(readdirSync(root)).toEqual([]);
  // What was freed is counted a little later.
  rmSync(`${ballast}-2`);
  await expect.poll(roomOf).toBeGreaterThan(2 ** 20);
  const tooLarge = await cli.attempt(['bench', 'pg', '--quick', '--size', '2MiB']);
  expect(tooLarge).toMatchObject({ exit: 1, stderr: expect.stringContaining('wants three times its size') });
});

test('a benchmark makes the disk write and flush what fio by hand makes it', async () => {
  await using opened = new AsyncDisposableStack();
  const disk = opened.use(mountLoopFilesystem('btrfs'));
  const cli = opened.use(new Cli());
  const root = await cli.volume('pg');
  execFileSync('mount', ['--bind', disk.path, root]);
  opened.defer(() => void execFileSync('umount', [root]));
  const source = execFileSync('findmnt', ['-n', '-o', 'SOURCE', disk.path], { encoding: 'utf8' }).trim();
  /** See Documentation/block/stat.rst of Linux. */
  const flushes = (): number =>
    Number(
      readFileSync(`/sys/class/block/${basename(source)}/stat`, 'utf8')
        .trim()
        .split(/\s+/)[15],
    );
  const flushed = async (work: () => Promise<number> | number): Promise<number> => {
    execFileSync('sync', ['-f', disk.path]);
    const before = flushes();
    const commits = await work();
    return (flushes() - before) / commits;
  };
  const byHand = await flushed(() => {
    const args = ['--rw=write', '--bs=8k', '--ioengine=sync', '--fdatasync=1', '--size=8m'];
    const file = join(disk.path, 'by-hand');
    const all = ['--name=hand', `--filename=${file}`, ...args, '--loops=2', '--output-format=json'];
    const { jobs } = JSON.parse(execFileSync('fio', all, { encoding: 'utf8' })) as FioDocument;
    rmSync(file);
    return jobs[0]?.write.total_ios ?? 0;
  });
  const byBench = await flushed(async () => {
    const { volumes } = await cli.json<{ readonly volumes: readonly { readonly fio: FioDocuments }[] }>(
      ...['bench', 'pg', '--quick', '--size', '8MiB', '--profile', 'database'],
    );
    const documents = Object.values(volumes[0]?.fio ?? {});
    return documents.reduce((sum, { jobs }) => sum + (jobs[0]?.write.total_ios ?? 0), 0);
  });
  expect(byHand).toBeGreaterThan(1);
  expect(byBench / byHand).toBeGreaterThan(0.9);
  expect(byBench / byHand).toBeLessThan(1.1);
});

interface FioDocument {
  readonly jobs: readonly { readonly write: { readonly total_ios: number } }[];
}

type FioDocuments = Readonly<Record<string, FioDocument>>;

test('an encrypted volume behind FUSE is measured by files with names, and nothing stays', async () => {
  await using opened = new AsyncDisposableStack();
  const cli = opened.use(new Cli());
  const root = await cli.volume('pg');
  const [cipher, password] = [cli.mkdir('cipher'), join(cli.folder, 'password')];
  writeFileSync(password, 'secret');
  execFileSync('gocryptfs', ['-q', '-init', '-scryptn', '10', '-passfile', password, cipher]);
  execFileSync('gocryptfs', ['-q', '-passfile', password, cipher, root]);
  opened.defer(() => void execFileSync('umount', [root]));
  const args = ['bench', 'pg', '--quick', '--size', '2MiB', '--profile', 'database'];
  const { stdout, stderr, exit } = await cli.attempt([...args, '--format', 'json']);
  expect(exit, stderr).toBe(0);
  const { volumes } = JSON.parse(stdout) as {
    readonly volumes: readonly { readonly measures: readonly { readonly rate: number }[] }[];
  };
  for (const { rate } of volumes[0]?.measures ?? []) expect(rate).toBeGreaterThan(0);
  expect(volumes[0]?.measures.length).toBe(2);
  expect(readdirSync(root)).toEqual([]);
});
