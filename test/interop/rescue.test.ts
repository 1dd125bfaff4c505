import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { makeHostileTree } from '../support/hostile-tree.ts';
import { initTestRepository, openTestRepository, saveDirectory } from '../support/repository-fixture.ts';
import { resticCommand, resticPassword } from '../support/restic-command.ts';
import { treeFacts } from '../support/tree-facts.ts';

/**
 * The commands of docs/formats/repository.md, "The worst day: with restic alone", and their documented
 * effects.
 */

let folder: string;
let location: string;
let source: string;
let snapshotId: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rescue-'));
  location = join(folder, 'repository');
  source = join(folder, 'source');
  await makeHostileTree(source);
  // restic's tar streams cannot hold an attribute with "=" in its name, and break off.
  execFileSync('setfattr', ['-x', 'user.a=b%25', join(source, 'plain.txt')]);
  await using repository = await initTestRepository(location);
  const { snapshot } = await saveDirectory(repository, source, { name: 'pg', parent: undefined });
  snapshotId = snapshot?.id ?? '';
  const other = join(folder, 'other');
  mkdirSync(other);
  await saveDirectory(repository, other, { name: 'other', parent: undefined });
  return () => {
    execFileSync('chmod', ['-R', 'u+rwx', folder]);
    rmSync(folder, { recursive: true });
  };
});

const sameBut = { without: ['holes' as const] };

test('a volume is found by its path, and restored with all that it has', async () => {
  const restic = resticCommand(location);
  const found = JSON.parse(await restic.run('snapshots', '--path', '/volume/pg', '--json')) as {
    id: string;
  }[];
  expect(found.map(({ id }) => id)).toEqual([snapshotId]);
  const target = join(folder, 'target');
  await restic.run(
    ...[
      'restore',
      'latest',
      '--path',
      '/volume/pg',
      '--include',
      '/volume/pg',
      '--sparse',
      '--target',
      target,
    ],
  );
  expect(treeFacts(join(target, 'volume/pg'), sameBut)).toEqual(treeFacts(source, sameBut));
});

test('a volume comes out as a tar stream whose paths begin at its root', async () => {
  const archive = join(folder, 'pg.tar');
  const dump = execFileSync(
    'restic',
    ['-r', location, '--no-cache', 'dump', `${snapshotId}:/volume/pg`, '/'],
    {
      env: { ...process.env, RESTIC_PASSWORD: resticPassword },
      maxBuffer: 1 << 28,
    },
  );
  writeFileSync(archive, dump);
  const target = join(folder, 'target');
  mkdirSync(target);
  execFileSync('tar', ['-x', '-f', archive, '-C', target]);
  expect(readFileSync(join(target, 'plain.txt'), 'utf8')).toBe('hello\n');
  expect(readdirSync(target).length).toBe(readdirSync(source).length);
  expect(statSync(join(target, 'plain.txt')).nlink).toBe(1);
});

test('one file and the volume’s description can be shown', async () => {
  const restic = resticCommand(location);
  const path = ['--path', '/volume/pg'];
  expect(await restic.run('dump', 'latest', ...path, '/volume/pg/plain.txt')).toBe('hello\n');
  const description: unknown = JSON.parse(
    await restic.run('dump', 'latest', ...path, '/volume/pg.holdfast.json'),
  );
  expect(description).toMatchObject({ name: 'pg', driver: 'local', labels: { 'com.example.role': 'test' } });
});

test('a repository that can only be read is read without a lock', async () => {
  chmodSync(join(location, 'locks'), 0o500);
  const restic = resticCommand(location);
  expect(await restic.run('--no-lock', 'dump', snapshotId, '/volume/pg/plain.txt')).toBe('hello\n');
});

function damage(path: string): void {
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
  writeFileSync(path, bytes);
}

test('an index that is damaged is made again from the packs', async () => {
  for (const name of readdirSync(join(location, 'index'))) damage(join(location, 'index', name));
  const restic = resticCommand(location);
  expect((await restic.attempt('check', '--read-data')).exitCode).not.toBe(0);
  await restic.run('repair', 'index');
  await restic.run('check', '--read-data');
  await using repository = await openTestRepository(location);
  expect((await repository.check({ readDataPercent: 100 })).errors).toEqual([]);
});

/** Damages the pack that holds a large file, and has restic keep its intact part. */
async function loseLargeFile(): Promise<void> {
  writeFileSync(join(source, 'large'), randomBytes(2_000_000));
  {
    await using repository = await openTestRepository(location);
    await saveDirectory(repository, source, { name: 'pg', parent: undefined });
  }
  const data = join(location, 'data');
  const packs = readdirSync(data, { recursive: true, encoding: 'utf8' }).map((name) => join(data, name));
  const [pack = ''] = packs
    .filter((path) => statSync(path).isFile())
    .toSorted((a, b) => statSync(b).size - statSync(a).size);
  damage(pack);
  await resticCommand(location).run('repair', 'packs', pack.slice(-64));
}

test('a damaged pack costs the snapshots only its content; the volume is still known', async () => {
  await loseLargeFile();
  const restic = resticCommand(location);
  expect(await restic.run('repair', 'snapshots', '--forget')).toContain('/volume/pg/large');
  await restic.run('check', '--read-data');
  await using repository = await openTestRepository(location);
  expect((await repository.check({ readDataPercent: 100 })).errors).toEqual([]);
  const snapshots = await repository.listSnapshots();
  expect(snapshots.map(({ volume }) => volume?.name ?? '').toSorted()).toEqual(['other', 'pg', 'pg']);
});

test('a backup from the same volume heals the older snapshots', async () => {
  await loseLargeFile();
  {
    await using repository = await openTestRepository(location);
    expect((await repository.check({ readDataPercent: 0 })).damagedSnapshots).toHaveLength(1);
    await saveDirectory(repository, source, { name: 'pg' });
    expect((await repository.check({ readDataPercent: 100 })).errors).toEqual([]);
  }
  await resticCommand(location).run('check', '--read-data');
});
