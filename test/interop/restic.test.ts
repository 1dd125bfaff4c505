import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { makeHostileTree } from '../support/hostile-tree.ts';
import {
  describeTestVolume,
  initTestRepository,
  newestSnapshot,
  openTestRepository,
  saveDirectory,
} from '../support/repository-fixture.ts';
import { resticCommand } from '../support/restic-command.ts';
import { treeFacts } from '../support/tree-facts.ts';

let folder: string;
let location: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'interop-'));
  location = join(folder, 'repository');
  return () => rmSync(folder, { recursive: true, force: true });
});

test('restic restores a single file to its whole path, and finds it by that', async () => {
  const file = join(folder, 'etc/redis.conf');
  mkdirSync(join(folder, 'etc'));
  writeFileSync(file, 'appendonly yes\n', { mode: 0o640 });
  writeFileSync(join(folder, 'etc/beside'), '');
  {
    await using repository = await initTestRepository(location);
    const volume = { ...describeTestVolume('file'), kind: 'path', name: file, isFile: true } as const;
    const source = { kind: 'directory', root: join(folder, 'etc'), only: 'redis.conf' } as const;
    await repository.save({
      ...{ source, volume, parent: undefined, tags: [], hostname: 'test-host', timeMs: Date.now() },
      ...{ grade: 'cold', excludePatterns: [] },
    });
  }
  const restic = resticCommand(location);
  await restic.run('check', '--read-data');
  const target = join(folder, 'target');
  await restic.run('restore', 'latest', '--path', file, '--target', target);
  expect(readFileSync(join(target, file), 'utf8')).toBe('appendonly yes\n');
  expect(statSync(join(target, file)).mode).toBe(0o100640);
  expect(readdirSync(join(target, folder, 'etc'))).toEqual(['redis.conf']);
});

/** A tree of ordinary files of all sizes, large enough for several chunks and packs. */
function makeOrdinaryTree(root: string): void {
  for (let directory = 0; directory < 20; directory++) {
    mkdirSync(join(root, `d${directory}`), { recursive: true });
    for (let file = 0; file < 30; file++) {
      writeFileSync(join(root, `d${directory}`, `f${file}.txt`), `${directory} ${file}\n`.repeat(file * 40));
    }
  }
  writeFileSync(join(root, 'media.bin'), randomBytes(40_000_000));
  writeFileSync(join(root, 'zeros.bin'), Buffer.alloc(20_000_000));
  writeFileSync(join(root, 'exactly-the-minimum'), randomBytes(512 * 1024));
  writeFileSync(join(root, 'one-more'), randomBytes(512 * 1024 + 1));
}

function repositoryBytes(): number {
  return Number(execFileSync('du', ['-sb', location], { encoding: 'utf8' }).split('\t')[0]);
}

describe('a repository written by Holdfast', () => {
  test('restic checks and restores, with everything that restic can keep', async () => {
    const source = join(folder, 'source');
    await makeHostileTree(source);
    makeOrdinaryTree(join(source, 'ordinary'));
    await using repository = await initTestRepository(location);
    const { problems } = await saveDirectory(repository, source);
    expect(problems).toEqual([]);

    const restic = resticCommand(location);
    expect(await restic.run('check', '--read-data')).toContain('no errors were found');
    await restic.run('restore', 'latest:/volume/data', '--target', join(folder, 'out'), '--sparse');
    // restic gives the target itself no metadata.
    const rootLess = (root: string): string[] => treeFacts(root, { without: ['holes'] }).slice(1);
    expect(rootLess(join(folder, 'out'))).toEqual(rootLess(source));
  });

  test('restic reads after it changed the tags, and Holdfast still knows the volume', async () => {
    const source = join(folder, 'source');
    makeOrdinaryTree(source);
    await using repository = await initTestRepository(location);
    await saveDirectory(repository, source, { name: 'pg' });
    const { id } = await newestSnapshot(repository);
    await resticCommand(location).run('tag', '--add', 'kept');
    await resticCommand(location).run('tag', '--add', 'too');

    const snapshot = await newestSnapshot(repository);
    expect(snapshot.tags).toEqual(['kept', 'too']);
    expect(snapshot.id).not.toBe(id);
    expect(snapshot.original).toBe(id);
    expect(snapshot.volume?.name).toBe('pg');
    const target = join(folder, 'out');
    await repository.restore({ snapshot, path: '', target });
    expect(treeFacts(target)).toEqual(treeFacts(source));
  });
});

describe.each(['auto', 'off', 'max'])('what restic wrote with compression "%s"', (compression) => {
  test('Holdfast checks and restores', async () => {
    const source = join(folder, 'source');
    await makeHostileTree(source);
    makeOrdinaryTree(join(source, 'ordinary'));
    const restic = resticCommand(location);
    await restic.run('init');
    await restic.run('backup', source, '--compression', compression);

    await using repository = await openTestRepository(location);
    const report = await repository.check({ readDataPercent: 100 });
    expect(report.errors).toEqual([]);
    expect(report.snapshots).toBe(1);
    const target = join(folder, 'out');
    await repository.restore({ snapshot: await newestSnapshot(repository), path: '', target });
    const options = { without: ['holes' as const] };
    expect(treeFacts(join(target, source), options)).toEqual(treeFacts(source, options));
  });
});

describe('the same data from both', () => {
  test('is stored once: restic after Holdfast adds less than 2%', async () => {
    const source = join(folder, 'source');
    makeOrdinaryTree(source);
    await using repository = await initTestRepository(location);
    await saveDirectory(repository, source);
    const before = repositoryBytes();
    await resticCommand(location).run('backup', source);
    expect(repositoryBytes() - before).toBeLessThan(before * 0.02);
  });

  test('is stored once: Holdfast after restic adds less than 2%, and the same trees', async () => {
    const source = join(folder, 'source');
    makeOrdinaryTree(source);
    await resticCommand(location).run('init');
    await resticCommand(location).run('backup', source);
    const before = repositoryBytes();
    await using repository = await openTestRepository(location);
    await saveDirectory(repository, source);
    expect(repositoryBytes() - before).toBeLessThan(before * 0.02);
    const restic = resticCommand(location);
    const ls = async (path: string): Promise<unknown> =>
      JSON.parse(await restic.run('ls', '--json', 'latest', path).then((text) => text.split('\n')[1] ?? ''));
    expect(await ls('/volume/data/d7')).toMatchObject({ name: 'd7', type: 'dir' });
  });

  test('is not read again while its times stay, and not stored again when it moves', async () => {
    const source = join(folder, 'source');
    makeOrdinaryTree(source);
    cpSync(source, join(folder, 'copy'), { recursive: true });
    await using repository = await initTestRepository(location);
    const first = await saveDirectory(repository, source);
    expect(first.summary.filesNew).toBe(604);
    await new Promise((resolve) => setTimeout(resolve, 1200));
    await saveDirectory(repository, source);
    const third = await saveDirectory(repository, source);
    expect(third.summary).toMatchObject({ filesUnmodified: 604, filesChanged: 0, filesNew: 0 });
    const moved = await saveDirectory(repository, join(folder, 'copy'));
    expect(moved.summary.filesUnmodified).toBe(0);
    expect(moved.summary.bytesAdded).toBeLessThan(500_000);
  });
});

describe('locks', () => {
  test('an exclusive lock of restic stops Holdfast, which names its holder', async () => {
    const source = join(folder, 'source');
    makeOrdinaryTree(source);
    await using repository = await initTestRepository(location);
    await saveDirectory(repository, source);
    // A prune that cannot end: restic holds its exclusive lock while it waits for a password.
    const { spawn } = await import('node:child_process');
    const restic = spawn(
      'restic',
      ['-r', location, '--no-cache', 'check', '--read-data', '--limit-download', '100'],
      {
        env: {
          ...process.env,
          RESTIC_PASSWORD: (await import('../support/restic-command.ts')).resticPassword,
        },
        stdio: 'ignore',
      },
    );
    try {
      await waitForLock();
      await expect(saveDirectory(repository, source)).rejects.toMatchObject({
        code: 'locked',
        message: expect.stringContaining(`process ${restic.pid}`),
      });
    } finally {
      restic.kill('SIGKILL');
      await new Promise((resolve) => restic.once('exit', resolve));
    }
    // The lock of the dead process does not block.
    expect((await saveDirectory(repository, source)).snapshot).toBeDefined();
  });

  test("Holdfast's lock stops a prune of restic", async () => {
    const source = join(folder, 'source');
    makeOrdinaryTree(source);
    await using repository = await initTestRepository(location);
    await saveDirectory(repository, source);
    const tree = {
      source: { kind: 'directory', root: source },
      volume: (await import('../support/repository-fixture.ts')).describeTestVolume('data'),
      tags: [],
      hostname: 'test-host',
      timeMs: Date.now(),
      excludePatterns: [],
    } as const;
    await using save = await repository.beginSave([tree]);
    await save.finalPass();
    await save.storeData();
    const { exitCode, output } = await resticCommand(location).attempt('prune');
    expect(exitCode).not.toBe(0);
    expect(output).toContain('already locked');
    await save.finish([{ grade: 'cold' }]);
    expect(readdirSync(join(location, 'locks'))).toEqual([]);
    expect((await resticCommand(location).attempt('prune')).exitCode).toBe(0);
    expect(statSync(join(location, 'config')).size).toBeGreaterThan(0);
  });
});

async function waitForLock(): Promise<void> {
  for (let i = 0; i < 1200; i++) {
    if (readdirSync(join(location, 'locks')).some((name) => name.length === 64)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('restic took no lock');
}
