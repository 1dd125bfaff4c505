import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { setTimes } from '../../lib/posix.ts';
import { compileExcludes } from '../../model/exclude.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import {
  allOf,
  openFreshRepository,
  type TestRepository,
  type TestSaveOptions,
  testVolume,
} from '../../../test/fixtures/open-repository.ts';
import type { SaveResult, SnapshotEntry } from '../types.ts';

const isRoot = process.getuid?.() === 0;

let opened: TestRepository;
let folder: string;
let source: string;

beforeEach(async () => {
  opened = await openFreshRepository();
  folder = mkdtempSync(join(tmpdir(), 'save-'));
  source = join(folder, 'source');
  mkdirSync(source);
  return async () => {
    rmSync(folder, { recursive: true, force: true });
    await opened[Symbol.asyncDispose]();
  };
});

async function save(more: TestSaveOptions = {}): Promise<SaveResult & { snapshot: Snapshot }> {
  const { snapshot, ...rest } = await opened.save(source, more);
  if (!snapshot) throw new Error('There is no snapshot');
  return { snapshot, ...rest };
}

async function paths(snapshot: Snapshot): Promise<string[]> {
  return (await opened.walk(snapshot)).map(({ path }) => path);
}

async function contentOf(snapshot: Snapshot, path: string): Promise<Buffer> {
  const entry = (await opened.walk(snapshot)).find((candidate) => candidate.path === path);
  if (!entry) throw new Error(`There is no "${path}"`);
  return Buffer.concat(await allOf(opened.repository.readFile(snapshot, entry)));
}

function filesBelow(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true, encoding: 'utf8' })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name);
}

/** Times of long ago, so that they are believed at once. */
function settle(): void {
  execFileSync('find', [source, '-exec', 'touch', '-h', '-d', '2020-01-01', '{}', '+']);
}

/**
 * What a backup at `timeMs` would have seen: the change time cannot be set, so the backup's time is moved
 * instead.
 */
const laterMs = (): number => Date.now() + 5000;

describe('a whole directory', () => {
  test('is saved with names of any bytes, and counted', async () => {
    for (const name of ['plain', 'a b', '\xff\xfe', 'caf\xc3\xa9', '-rf', 'x\ny', '"quoted"', '\\'])
      writeFileSync(Buffer.from(join(source, name), 'latin1'), name);
    mkdirSync(join(source, 'd/e'), { recursive: true });
    writeFileSync(join(source, 'd/e/deep'), 'deep');
    symlinkSync('nowhere', join(source, 'link'));
    const { snapshot, summary, problems } = await save();
    expect(problems).toEqual([]);
    expect(summary).toMatchObject({ files: 9, directories: 3, others: 1, filesNew: 9 });
    const names = await paths(snapshot);
    expect(names).toEqual(names.toSorted());
    expect(names).toContain('\xff\xfe');
    expect((await contentOf(snapshot, '"quoted"')).toString()).toBe('"quoted"');
  });

  test('is recorded with all that is needed to make the volume again', async () => {
    const { snapshot } = await save({
      tags: ['a', 'b'],
      excludePatterns: ['*.log'],
      limits: ['times are whole seconds'],
    });
    const [listed] = await opened.repository.listSnapshots();
    expect(listed).toEqual(snapshot);
    expect(listed).toMatchObject({
      name: 'data',
      tags: ['a', 'b'],
      hostname: 'test-host',
      grade: 'cold',
      problemCount: 0,
      volume: testVolume,
    });
  });

  test('is one of nothing when it is empty, and that is a backup too', async () => {
    const { snapshot } = await save();
    expect(await paths(snapshot)).toEqual(['']);
    expect((await opened.repository.check({ readDataPercent: 100 })).errors).toEqual([]);
  });

  test('can be reached by a symbolic link', async () => {
    writeFileSync(join(source, 'file'), 'x');
    symlinkSync(source, join(folder, 'link'));
    const { snapshot } = await opened.save(join(folder, 'link'));
    expect((await opened.walk(snapshot)).map(({ path, type }) => [path, type])).toEqual([
      ['', 'dir'],
      ['file', 'file'],
    ]);
  });

  test.each([
    ['is not there', 'nothing', 'not-found'],
    ['is a file', 'file', 'usage'],
  ])('that %s is refused, and leaves no snapshot', async (_what, name, code) => {
    writeFileSync(join(folder, 'file'), 'x');
    await expect(opened.save(join(folder, name))).rejects.toMatchObject({ code });
    expect(await opened.repository.listSnapshots()).toEqual([]);
  });

  test('keeps hard links together', async () => {
    writeFileSync(join(source, 'a'), 'shared');
    mkdirSync(join(source, 'd'));
    linkSync(join(source, 'a'), join(source, 'd/b'));
    writeFileSync(join(source, 'same'), 'shared');
    const { snapshot } = await save();
    const link = (entries: readonly SnapshotEntry[], path: string): string | undefined =>
      entries.find((entry) => entry.path === path)?.hardLinkTo;
    const entries = await opened.walk(snapshot);
    expect(link(entries, 'd/b')).toBe('a');
    expect(link(entries, 'same')).toBeUndefined();
  });

  test('deeper than any path can name is saved to its end', async () => {
    const name = 'd'.repeat(200);
    const depth = 30;
    const program = `for (let i = 0; i < ${depth}; i++) { fs.mkdirSync('${name}'); process.chdir('${name}'); } fs.writeFileSync('file', 'end')`;
    execFileSync(process.execPath, ['-e', program], { cwd: source });
    const { snapshot, problems } = await save();
    expect(problems).toEqual([]);
    const last = (await opened.walk(snapshot)).at(-1);
    expect(last?.path).toBe(`${`${name}/`.repeat(depth)}file`);
    execFileSync('rm', ['-rf', join(source, name)]);
  });
});

describe('a second backup', () => {
  beforeEach(() => {
    for (let i = 0; i < 20; i++) writeFileSync(join(source, `f${i}`), `content ${i}`);
    mkdirSync(join(source, 'd'));
    writeFileSync(join(source, 'd/attributes'), 'x');
    execFileSync('setfattr', ['-n', 'user.a', '-v', '1', join(source, 'd/attributes')]);
  });

  test('reads nothing again that is known to be unchanged, and stores nothing', async () => {
    const first = await save({ timeMs: laterMs() });
    const second = await save({ parent: first.snapshot });
    expect(second.summary).toMatchObject({
      filesUnmodified: 21,
      filesNew: 0,
      filesChanged: 0,
      bytesAdded: 0,
    });
    expect(second.snapshot.parent).toBe(first.snapshot.id);
    expect(await opened.walk(second.snapshot)).toEqual(await opened.walk(first.snapshot));
  });

  test('reads again what was written within the second before the first began, or during it', async () => {
    const first = await save();
    // Same size and time: only the change time could differ, and it may not.
    const before = lstatSync(join(source, 'f3'), { bigint: true });
    writeFileSync(join(source, 'f3'), 'CONTENT 3');
    setTimes(join(source, 'f3'), before.mtimeNs);
    const second = await save({ parent: first.snapshot });
    expect(second.summary).toMatchObject({ filesUnmodified: 20, filesChanged: 1 });
    expect((await contentOf(second.snapshot, 'f3')).toString()).toBe('CONTENT 3');
  });

  test('sees a change behind times that were put back', async () => {
    settle();
    const first = await save({ timeMs: laterMs() });
    const before = lstatSync(join(source, 'f3'), { bigint: true });
    writeFileSync(join(source, 'f3'), 'CONTENT 3');
    setTimes(join(source, 'f3'), before.mtimeNs);
    const second = await save({ parent: first.snapshot });
    expect(second.summary).toMatchObject({ filesChanged: 1, filesUnmodified: 20 });
    expect((await contentOf(second.snapshot, 'f3')).toString()).toBe('CONTENT 3');
  });

  test('sees another file in the place of one with the same size and time', async () => {
    settle();
    const first = await save({ timeMs: laterMs() });
    writeFileSync(join(source, 'new'), 'CONTENT 3');
    utimesSync(join(source, 'new'), new Date('2020-01-01'), new Date('2020-01-01'));
    renameSync(join(source, 'new'), join(source, 'f3'));
    const second = await save({ parent: first.snapshot });
    expect((await contentOf(second.snapshot, 'f3')).toString()).toBe('CONTENT 3');
  });

  test('takes over a change of attributes, mode and owner', async () => {
    const first = await save({ timeMs: laterMs() });
    execFileSync('setfattr', ['-n', 'user.a', '-v', '2', join(source, 'd/attributes')]);
    chmodSync(join(source, 'f0'), 0o600);
    if (isRoot) chownSync(join(source, 'f1'), 4321, 1234);
    const entries = await opened.walk((await save({ parent: first.snapshot })).snapshot);
    const entry = (path: string): SnapshotEntry | undefined =>
      entries.find((candidate) => candidate.path === path);
    expect(Buffer.from(entry('d/attributes')?.xattrs?.[0]?.value ?? []).toString()).toBe('2');
    expect(entry('f0')?.mode).toBe(0o600);
    if (isRoot) expect(entry('f1')).toMatchObject({ uid: 4321, gid: 1234 });
  });

  test('reads again what the repository has lost', async () => {
    const first = await save({ timeMs: laterMs() });
    for (const type of ['data', 'index'] as const)
      for (const { name } of await opened.codec.store.list(type)) await opened.codec.store.remove(type, name);
    const second = await save({ parent: first.snapshot });
    expect(second.summary.filesUnmodified).toBe(0);
    const report = await opened.repository.check({ readDataPercent: 100 });
    expect(report.damagedSnapshots).not.toContain(second.snapshot.id);
  });

  test('works without its parent, if that is missing or damaged', async () => {
    const first = await save({ timeMs: laterMs() });
    await opened.repository.removeSnapshot(first.snapshot.id);
    const second = await save({ parent: first.snapshot });
    expect(second.summary).toMatchObject({ filesUnmodified: 0, bytesAdded: 0 });
    expect(await paths(second.snapshot)).toHaveLength(23);
  });
});

describe('what cannot be saved as it is', () => {
  test.runIf(isRoot)('is named when it may not be read, and the rest is saved', async () => {
    mkdirSync(join(source, 'closed'));
    writeFileSync(join(source, 'closed/inside'), 'x');
    writeFileSync(join(source, 'secret'), 'x', { mode: 0o600 });
    writeFileSync(join(source, 'large secret'), Buffer.alloc(9_000_000), { mode: 0o600 });
    writeFileSync(join(source, 'open'), 'x');
    chmodSync(join(source, 'closed'), 0o700);
    chmodSync(source, 0o755);
    chmodSync(folder, 0o711);
    execFileSync('chown', ['-R', '65534', opened.location]);
    process.seteuid?.(65534);
    const result = await save().finally(() => process.seteuid?.(0));
    const unreadable = { reason: 'unreadable', message: 'cannot be read: permission denied' };
    expect(result.problems.toSorted((a, b) => (a.path < b.path ? -1 : 1))).toEqual([
      { path: 'closed', ...unreadable },
      { path: 'large secret', ...unreadable },
      { path: 'secret', ...unreadable },
    ]);
    expect(result.snapshot.problemCount).toBe(3);
    expect(await paths(result.snapshot)).toEqual(['', 'closed', 'open']);
  });

  test.runIf(isRoot)('is an error and no backup when it is the root', async () => {
    chmodSync(source, 0o700);
    chmodSync(folder, 0o711);
    execFileSync('chown', ['-R', '65534', opened.location]);
    process.seteuid?.(65534);
    try {
      await expect(save()).rejects.toMatchObject({
        code: 'denied',
        message: expect.stringContaining(source),
      });
    } finally {
      process.seteuid?.(0);
    }
  });

  test('is named when it vanishes, and left out', async () => {
    for (let i = 0; i < 400; i++)
      writeFileSync(join(source, `f${String(i).padStart(3, '0')}`), randomBytes(50_000));
    mkdirSync(join(source, 'zdir'));
    writeFileSync(join(source, 'zlarge'), Buffer.alloc(9_000_000));
    let isGone = false;
    const { problems, snapshot } = await save({
      // Called in the order of the walk, so that the first files are being read and the last ones are not.
      isExcluded: (path) => {
        if (path !== 'f010' || isGone) return false;
        isGone = true;
        for (const name of ['f399', 'zlarge']) unlinkSync(join(source, name));
        rmSync(join(source, 'zdir'), { recursive: true });
        return false;
      },
    });
    expect(problems.map(({ path, reason }) => [path, reason])).toEqual([
      ['f399', 'vanished'],
      ['zdir', 'vanished'],
      ['zlarge', 'vanished'],
    ]);
    expect(await paths(snapshot)).not.toContain('f399');
    expect((await opened.repository.check({ readDataPercent: 100 })).errors).toEqual([]);
  });

  test('is no problem when it was left out anyway', async () => {
    writeFileSync(join(source, 'a'), 'x');
    writeFileSync(join(source, 'z.tmp'), 'x');
    const excludes = compileExcludes(['*.tmp']);
    const { problems } = await save({
      isExcluded: (path, isDirectory) => {
        if (path === 'a') unlinkSync(join(source, 'z.tmp'));
        return excludes(path, isDirectory);
      },
    });
    expect(problems).toEqual([]);
  });

  test('is named when it becomes a link, and nothing is read from where that leads', async () => {
    const secret = join(folder, 'secret');
    mkdirSync(secret);
    writeFileSync(join(secret, 'file'), 'the secret');
    mkdirSync(join(source, 'd'));
    writeFileSync(join(source, 'd/file'), 'harmless');
    writeFileSync(join(source, 'z'), 'harmless');
    const { problems, snapshot } = await save({
      isExcluded: (path) => {
        if (path === 'd') {
          rmSync(join(source, 'd'), { recursive: true });
          symlinkSync(secret, join(source, 'd'));
        }
        if (path === 'z') {
          unlinkSync(join(source, 'z'));
          symlinkSync(join(secret, 'file'), join(source, 'z'));
        }
        return false;
      },
    });
    expect(problems.map(({ path, reason }) => [path, reason])).toEqual([
      ['d', 'changed'],
      ['z', 'changed'],
    ]);
    expect(await paths(snapshot)).toEqual(['']);
  });

  test('is read where it was when its directory is swapped for a link in the middle', async () => {
    const secret = join(folder, 'secret');
    mkdirSync(secret);
    mkdirSync(join(source, 'd'));
    for (const name of ['a', 'b']) {
      writeFileSync(join(secret, name), 'the secret');
      writeFileSync(join(source, 'd', name), 'harmless');
    }
    const { snapshot } = await save({
      isExcluded: (path) => {
        if (path !== 'd/b') return false;
        renameSync(join(source, 'd'), join(folder, 'moved'));
        symlinkSync(secret, join(source, 'd'));
        return false;
      },
    });
    expect((await contentOf(snapshot, 'd/a')).toString()).toBe('harmless');
    expect((await contentOf(snapshot, 'd/b')).toString()).toBe('harmless');
  });

  test('is named when it is written to all the time, and its saved content is consistent', async () => {
    const small = join(source, 'small');
    const large = join(source, 'large');
    writeFileSync(small, Buffer.alloc(5_000_000, 'a'));
    writeFileSync(large, Buffer.alloc(60_000_000, 'a'));
    const writer = spawn(process.execPath, ['-e', writerProgram, small, large], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(writer.stdout, 'data');
      const { problems, snapshot } = await save();
      const changed = problems.filter(({ reason }) => reason === 'changed').map(({ path }) => path);
      expect(changed).toContain('large');
      expect(snapshot.problemCount).toBe(problems.length);
      const entries = await opened.walk(snapshot);
      for (const path of ['small', 'large']) {
        const content = await contentOf(snapshot, path);
        expect(content.length).toBe(entries.find((entry) => entry.path === path)?.size);
      }
    } finally {
      writer.kill('SIGKILL');
      await once(writer, 'exit');
    }
    expect((await opened.repository.check({ readDataPercent: 100 })).errors).toEqual([]);
    // When left alone, everything is read again and the result is correct.
    const again = await save({ parent: (await opened.repository.listSnapshots()).at(-1) });
    expect(again.problems).toEqual([]);
    expect((await contentOf(again.snapshot, 'large')).equals(readFileSync(large))).toBe(true);
  });

  test.each([
    ['grows', 30_000_000, 50_000_000],
    ['is cut off', 50_000_000, 20_000_000],
  ])('a sparse file that %s meanwhile comes back as it was read', async (_what, sizeBefore, sizeAfter) => {
    const path = join(source, 'sparse');
    const block = randomBytes(1_000_000);
    writeAt(path, sizeBefore - block.length, block);
    let isChanged = false;
    const { snapshot, problems } = await save({
      onProgress: () => {
        if (isChanged) return;
        isChanged = true;
        truncateSync(path, sizeAfter);
        if (sizeAfter > sizeBefore) writeAt(path, sizeAfter - block.length, block);
      },
    });
    expect(problems.map((problem) => problem.path)).toEqual(isChanged ? ['sparse'] : []);
    const target = join(folder, 'target');
    await opened.repository.restore({ snapshot, path: 'sparse', target });
    expect(readFileSync(target).equals(await contentOf(snapshot, 'sparse'))).toBe(true);
  });
});

/** Writes here and there while it runs, and reports when it has begun. */
const writerProgram = `
  const { openSync, writeSync } = require('node:fs');
  const files = process.argv.slice(1).map((path) => openSync(path, 'r+'));
  const block = Buffer.alloc(4096, 'b');
  for (let i = 0; ; i++) {
    for (const fd of files) writeSync(fd, block, 0, 4096, (i * 1_003_001) % 4_000_000);
    if (i === 10) writeSync(1, 'started');
  }
`;

function writeAt(path: string, offset: number, content: Buffer): void {
  const fd = openSync(path, existsSync(path) ? 'r+' : 'w');
  writeSync(fd, content, 0, content.length, offset);
  closeSync(fd);
}

test('an excluded folder is not even listed', async () => {
  mkdirSync(join(source, 'cache/deep'), { recursive: true });
  writeFileSync(join(source, 'cache/deep/file'), 'x');
  writeFileSync(join(source, 'keep.log'), 'x');
  writeFileSync(join(source, 'drop.log'), 'x');
  const asked: string[] = [];
  const excludes = compileExcludes(['/cache', '*.log', '!keep.log']);
  const { snapshot, summary } = await save({
    isExcluded: (path, isDirectory) => {
      asked.push(path);
      return excludes(path, isDirectory);
    },
  });
  expect(await paths(snapshot)).toEqual(['', 'keep.log']);
  expect(asked).toEqual(['cache', 'drop.log', 'keep.log']);
  expect(summary.files).toBe(1);
});

test('a dry run counts everything and stores nothing', async () => {
  for (let i = 0; i < 50; i++) writeFileSync(join(source, `f${i}`), randomBytes(100_000));
  writeFileSync(join(source, 'large'), randomBytes(20_000_000));
  const result = await opened.save(source, { dryRun: true });
  expect(result.snapshot).toBeUndefined();
  expect(result.summary).toMatchObject({ files: 51, filesNew: 51, bytes: 25_000_000 });
  expect(result.summary.bytesAdded).toBeGreaterThanOrEqual(25_000_000);
  expect(filesBelow(opened.location)).toEqual(['config']);
});

test('a dry run reads no file: it counts files whose time or size differs from the parent', async () => {
  for (const name of ['one', 'same']) writeFileSync(join(source, name), Buffer.alloc(1_000_000, 'x'));
  const first = await opened.save(source, { dryRun: true });
  // If it were read, the second one would be known by then.
  expect(first.summary).toMatchObject({ filesNew: 2, bytes: 2_000_000, bytesAdded: 2_000_000 });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const { snapshot: parent } = await opened.save(source);
  writeFileSync(join(source, 'one'), 'shorter');
  const later = await opened.save(source, { dryRun: true, parent });
  expect(later.summary).toMatchObject({ filesChanged: 1, filesUnmodified: 1, bytesAdded: 7 });
});

describe('a backup that is cancelled', () => {
  test('before it begins does nothing', async () => {
    writeFileSync(join(source, 'f'), 'x');
    await expect(save({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' });
    expect(filesBelow(opened.location)).toEqual(['config']);
  });

  test('in the middle leaves no snapshot, no lock and no partial file, and stored data is not stored again', async () => {
    // Enough that progress is reported before the end, on a fast machine too.
    for (let i = 0; i < 200; i++) writeFileSync(join(source, `f${i}`), randomBytes(1_000_000));
    const stop = new AbortController();
    const stopped = save({
      signal: stop.signal,
      onProgress: ({ bytesDone }) => {
        if (bytesDone > 20_000_000) stop.abort();
      },
    });
    await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });
    expect(await opened.repository.listSnapshots()).toEqual([]);
    expect(readdirSync(join(opened.location, 'locks'))).toEqual([]);
    expect(filesBelow(opened.location).filter((name) => name.startsWith('tmp-'))).toEqual([]);
    expect((await opened.repository.check({ readDataPercent: 100 })).errors).toEqual([]);
    const { summary } = await save();
    expect(summary.bytesAdded).toBeLessThan(185_000_000);
  });

  test('is stopped too while nothing but unchanged files goes by', async () => {
    for (let i = 0; i < 5000; i++) writeFileSync(join(source, `f${i}`), '');
    const first = await save({ timeMs: laterMs() });
    let seen = 0;
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 1);
    await expect(
      save({ parent: first.snapshot, signal: stop.signal, isExcluded: () => ++seen < 0 }),
    ).rejects.toMatchObject({ code: 'cancelled' });
    expect(seen).toBeLessThan(5000);
  });
});

test('a backup whose lock was taken away makes no snapshot', async () => {
  writeFileSync(join(source, 'f'), 'x');
  const robbed = save({
    grade: async () => {
      for (const { name } of await opened.codec.store.list('locks'))
        await opened.codec.store.remove('locks', name);
      return 'cold';
    },
  });
  await expect(robbed).rejects.toMatchObject({ code: 'locked' });
  expect(await opened.repository.listSnapshots()).toEqual([]);
});

test('a store that fails ends the backup: its failure is no unreadable file', async () => {
  for (let i = 0; i < 50; i++) writeFileSync(join(source, `f${i}`), randomBytes(700_000));
  // Every pack directory is a file now, so each failure comes from the store.
  for (let i = 0; i < 256; i++) {
    const path = join(opened.location, 'data', i.toString(16).padStart(2, '0'));
    rmSync(path, { recursive: true });
    writeFileSync(path, '');
  }
  await expect(save()).rejects.toMatchObject({ name: 'AppError' });
  expect(await opened.repository.listSnapshots()).toEqual([]);
});

test('two backups at once into one repository both hold', async () => {
  for (let i = 0; i < 30; i++) writeFileSync(join(source, `f${i}`), randomBytes(200_000));
  const results = await Promise.all([save(), save(), save()]);
  expect(new Set(results.map(({ snapshot }) => snapshot.id)).size).toBe(3);
  expect(await opened.repository.listSnapshots()).toHaveLength(3);
  expect((await opened.repository.check({ readDataPercent: 100 })).errors).toEqual([]);
});

test('what the way to the data has lost makes the snapshot one with problems', async () => {
  const lost = [{ path: 'a', reason: 'unreadable', message: 'could not be carried' }] as const;
  const result = await opened.save(source, { lost });
  expect(result.problems).toEqual(lost);
  expect(result.snapshot?.problemCount).toBe(1);
});
