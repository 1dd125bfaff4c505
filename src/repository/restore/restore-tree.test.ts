import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { makeHostileTree } from '../../../test/support/hostile-tree.ts';
import { treeFacts } from '../../../test/support/tree-facts.ts';
import { DirectoryHandle } from '../../lib/directory-handle.ts';
import { dataRuns } from '../../lib/posix.ts';
import { removeTree } from '../../lib/remove-tree.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import { openFreshRepository, type TestRepository } from '../../../test/fixtures/open-repository.ts';
import { HandmadeSnapshot } from '../../../test/fixtures/save-by-hand.ts';
import type { RestoreResult } from '../types.ts';

const isRoot = process.getuid?.() === 0;

let opened: TestRepository;
let folder: string;
let source: string;
let target: string;

beforeEach(async () => {
  opened = await openFreshRepository();
  folder = mkdtempSync(join(tmpdir(), 'restore-'));
  source = join(folder, 'source');
  target = join(folder, 'target');
  mkdirSync(source);
  return async () => {
    rmSync(folder, { recursive: true });
    await opened[Symbol.asyncDispose]();
  };
});

async function saved(): Promise<Snapshot> {
  const { snapshot, problems } = await opened.save(source);
  expect(problems).toEqual([]);
  if (!snapshot) throw new Error('Nothing was saved');
  return snapshot;
}

async function restore(snapshot: Snapshot, path = '', to = target): Promise<RestoreResult> {
  return await opened.repository.restore({ snapshot, path, target: to });
}

test('a restored tree is the same in everything that can be seen of it', async () => {
  await makeHostileTree(source, { socket: true });
  const result = await restore(await saved());
  expect(result.problems).toEqual([]);
  expect(treeFacts(target)).toEqual(treeFacts(source));
});

test('the holes of a sparse file lie where they lay, however large the file is', async () => {
  for (const [name, size] of [
    ['small', 3_000_000],
    ['large', 40_000_000],
  ] as const) {
    const fd = openSync(join(source, name), 'w');
    for (const offset of [1_000_000, size - 500_000]) writeSync(fd, randomBytes(200_000), 0, 200_000, offset);
    closeSync(fd);
    truncateSync(join(source, name), size);
  }
  await restore(await saved());
  const runsOf = (path: string): unknown => {
    const fd = openSync(path, 'r');
    try {
      return dataRuns(fd, lstatSync(path).size);
    } finally {
      closeSync(fd);
    }
  };
  for (const name of ['small', 'large']) {
    expect(runsOf(join(target, name))).toEqual(runsOf(join(source, name)));
    expect(readFileSync(join(target, name)).equals(readFileSync(join(source, name)))).toBe(true);
  }
});

describe('the target', () => {
  beforeEach(() => {
    mkdirSync(join(source, 'd'));
    writeFileSync(join(source, 'd/file'), 'content', { mode: 0o640 });
    symlinkSync('d/file', join(source, 'link'));
    execFileSync('mkfifo', [join(source, 'fifo')]);
  });

  test('is not touched when it is not empty', async () => {
    const snapshot = await saved();
    mkdirSync(target);
    writeFileSync(join(target, 'mine'), 'mine');
    const before = treeFacts(target);
    await expect(restore(snapshot)).rejects.toMatchObject({ code: 'exists' });
    expect(treeFacts(target)).toEqual(before);
  });

  test.each(['', 'd', 'd/file', 'link', 'fifo'])(
    'is not touched when it is a file: restoring "%s"',
    async (path) => {
      const snapshot = await saved();
      writeFileSync(target, 'mine');
      await expect(restore(snapshot, path)).rejects.toMatchObject({ code: 'exists' });
      expect(readFileSync(target, 'utf8')).toBe('mine');
    },
  );

  test.each(['', 'd/file'])('is not followed when it is a symbolic link: restoring "%s"', async (path) => {
    const snapshot = await saved();
    const elsewhere = join(folder, 'elsewhere');
    mkdirSync(elsewhere);
    symlinkSync(elsewhere, target);
    await expect(restore(snapshot, path)).rejects.toMatchObject({ code: 'exists' });
    expect(readdirSync(elsewhere)).toEqual([]);
  });

  test('must have a directory above it', async () => {
    const snapshot = await saved();
    await expect(restore(snapshot, '', join(folder, 'not/there'))).rejects.toMatchObject({
      code: 'not-found',
    });
    await expect(restore(snapshot, 'd/file', join(folder, 'not/there'))).rejects.toThrow();
  });

  test('can be an empty directory, which gets the metadata of the restored one', async () => {
    chmodSync(source, 0o751);
    const snapshot = await saved();
    mkdirSync(target, { mode: 0o700 });
    await restore(snapshot);
    expect(treeFacts(target)).toEqual(treeFacts(source));
  });

  test.each(['d', 'd/file', 'link', 'fifo'])('is exactly what is asked for: "%s"', async (path) => {
    const snapshot = await saved();
    await restore(snapshot, path);
    expect(treeFacts(target)).toEqual(treeFacts(join(source, path)));
  });

  test('that is not in the snapshot is not made', async () => {
    const snapshot = await saved();
    for (const path of ['nothing', 'd/nothing', 'd/file/deeper', 'd/../d', '..'])
      await expect(restore(snapshot, path)).rejects.toMatchObject({ code: 'not-found' });
    expect(existsSync(target)).toBe(false);
  });

  test.each(['', 'd', 'd/file', 'fifo'])('gets nothing from the directory above: "%s"', async (path) => {
    const snapshot = await saved();
    const above = join(folder, 'above');
    mkdirSync(above);
    execFileSync('setfacl', ['-d', '-m', 'u:12345:rwx,g:54321:rwx,m::rwx', above]);
    if (isRoot) chownSync(above, 0, 4321);
    chmodSync(above, 0o2777);
    await restore(snapshot, path, join(above, 'target'));
    expect(treeFacts(join(above, 'target'))).toEqual(treeFacts(join(source, path)));
  });
});

describe('damage', () => {
  const content = randomBytes(700_000);
  beforeEach(() => {
    mkdirSync(join(source, 'docs'));
    writeFileSync(join(source, 'docs/report'), content);
  });

  function packFiles(): string[] {
    const data = join(opened.location, 'data');
    return readdirSync(data, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.length > 60)
      .map((name) => join(data, name));
  }

  function dataPack(): string {
    return packFiles().toSorted((a, b) => lstatSync(b).size - lstatSync(a).size)[0] ?? '';
  }

  test('in a pack is noticed, and the file that it is in is named', async () => {
    const snapshot = await saved();
    const pack = readFileSync(dataPack());
    pack.writeUInt8(pack.readUInt8(300_000) ^ 1, 300_000);
    writeFileSync(dataPack(), pack);
    await expect(restore(snapshot)).rejects.toMatchObject({
      code: 'integrity',
      message: expect.stringContaining('"docs/report"'),
    });
  });

  test('of a pack that is cut short or gone is noticed, and the file that was in it is named', async () => {
    const snapshot = await saved();
    const path = dataPack();
    truncateSync(path, 1000);
    await expect(restore(snapshot)).rejects.toMatchObject({
      code: 'integrity',
      message: expect.stringContaining('docs/report'),
    });
    rmSync(path);
    await expect(restore(snapshot, '', `${target}2`)).rejects.toMatchObject({
      code: 'integrity',
      message: expect.stringContaining('docs/report'),
    });
  });

  test('of a tree is noticed', async () => {
    const snapshot = await saved();
    for (const path of packFiles().filter((candidate) => candidate !== dataPack())) {
      const pack = readFileSync(path);
      pack.writeUInt8(pack.readUInt8(40) ^ 1, 40);
      writeFileSync(path, pack);
    }
    await expect(restore(snapshot)).rejects.toMatchObject({ code: 'integrity' });
  });

  test('of an index is no reason not to restore what the others know, and missing blobs are missed', async () => {
    const first = await saved();
    writeFileSync(join(source, 'docs/second'), randomBytes(1000));
    const index = join(opened.location, 'index');
    const [firstIndex = ''] = readdirSync(index);
    const second = await saved();
    writeFileSync(join(index, readdirSync(index).find((name) => name !== firstIndex) ?? ''), 'damaged');
    await restore(first);
    expect(readFileSync(join(target, 'docs/report')).equals(content)).toBe(true);
    await expect(restore(second, '', `${target}2`)).rejects.toMatchObject({ code: 'integrity' });
  });
});

describe('a hostile snapshot', () => {
  const node = { mode: 0o644, uid: 0, gid: 0 };
  const directory = { ...node, type: 'dir', mode: 2 ** 31 + 0o755 };

  async function restoreTree(make: (snapshot: HandmadeSnapshot) => string): Promise<RestoreResult> {
    const handmade = new HandmadeSnapshot(opened.codec);
    const snapshot = await handmade.save(make(handmade));
    return await restore(snapshot);
  }

  test.each([
    ['a path for a name', '../escaped'],
    ['the directory above', '..'],
    ['an absolute path', '/tmp/escaped'],
    ['a quoted path', String.raw`..\x2fescaped`],
  ])('writes nothing outside its target: %s', async (_what, name) => {
    await expect(
      restoreTree((handmade) => handmade.tree([{ ...node, name, type: 'file' }])),
    ).rejects.toMatchObject({ code: 'integrity' });
    expect(readdirSync(folder).toSorted()).toEqual(['source', 'target']);
    expect(readdirSync(target)).toEqual([]);
  });

  test('cannot write through a symbolic link that it brings along', async () => {
    const elsewhere = join(folder, 'elsewhere');
    mkdirSync(elsewhere);
    await expect(
      restoreTree((handmade) => {
        const id = handmade.blob('data', 'x');
        const subtree = handmade.tree([{ ...node, name: 'file', type: 'file', size: 1, content: [id] }]);
        return handmade.tree([
          { ...node, name: 'd', type: 'symlink', linktarget: elsewhere },
          { ...directory, name: 'd', subtree },
        ]);
      }),
    ).rejects.toMatchObject({ code: 'integrity' });
    expect(readdirSync(elsewhere)).toEqual([]);
  });

  test('cannot make a hard link to what is not its own', async () => {
    const result = await restoreTree((handmade) =>
      handmade.tree([
        { ...node, name: 'a', type: 'symlink', linktarget: '/etc/passwd', inode: 5, links: 2 },
        { ...node, name: 'b', type: 'symlink', linktarget: '/etc/passwd', inode: 5, links: 2 },
      ]),
    );
    expect(result.problems).toEqual([]);
    expect(readlinkSync(join(target, 'b'))).toBe('/etc/passwd');
    expect(lstatSync(join(target, 'b')).ino).toBe(lstatSync(join(target, 'a')).ino);
  });

  test.each([
    ['says a wrong size', { size: 5 }],
    ['says no size', { size: 0 }],
    ['says an impossible size', { size: 2 ** 52 }],
  ])('that %s is refused', async (_what, fields) => {
    await expect(
      restoreTree((handmade) =>
        handmade.tree([
          { ...node, ...fields, name: 'f', type: 'file', content: [handmade.blob('data', 'abc')] },
        ]),
      ),
    ).rejects.toMatchObject({ code: 'integrity', message: expect.stringContaining('f') });
  });

  test.each([
    ['a blob that is not there', { content: ['ab'.repeat(32)], size: 3 }],
    ['a tree that is not there', { ...directory, subtree: 'ab'.repeat(32) }],
  ])('that names %s is refused', async (_what, fields) => {
    await expect(
      restoreTree((handmade) => handmade.tree([{ ...node, name: 'f', type: 'file', ...fields }])),
    ).rejects.toMatchObject({ code: 'integrity' });
  });

  test('whose blob is not what its id says is refused', async () => {
    await expect(
      restoreTree((handmade) => {
        const id = handmade.blob('data', 'not that', 'ab'.repeat(32));
        return handmade.tree([{ ...node, name: 'f', type: 'file', size: 8, content: [id] }]);
      }),
    ).rejects.toMatchObject({ code: 'integrity' });
  });

  test('with a directory that has lost its content is restored as far as possible, and reports the rest', async () => {
    const result = await restoreTree((handmade) => handmade.tree([{ ...directory, name: 'lost' }]));
    expect(result.problems).toMatchObject([{ path: 'lost', message: expect.stringContaining('lost') }]);
  });

  test('with an entry of an unknown kind is restored without it, and reports that', async () => {
    const result = await restoreTree((handmade) =>
      handmade.tree([
        { ...node, name: 'door', type: 'irregular', inode: 5, links: 2 },
        { ...node, name: 'door2', type: 'irregular', inode: 5, links: 2 },
      ]),
    );
    expect(result.problems.map(({ path }) => path)).toEqual(['door', 'door2']);
    expect(result.others).toBe(0);
  });

  test('whose paths are longer than the limit of the kernel is restored completely', async () => {
    const names = Array.from({ length: 25 }, (_, depth) => `${depth}`.padStart(200, 'd'));
    const result = await restoreTree((handmade) => {
      const [small, one, two] = ['deep', 'one', 'two'].map((text) => handmade.blob('data', text));
      const bottom = handmade.tree([
        { ...node, name: 'file', type: 'file', size: 4, content: [small] },
        { ...node, name: 'parts', type: 'file', size: 6, content: [one, two], inode: 7, links: 2 },
        { ...node, name: 'same', type: 'file', size: 6, content: [one, two], inode: 7, links: 2 },
        { ...node, name: 'link', type: 'symlink', linktarget: 'file' },
      ]);
      return names
        .toReversed()
        .reduce((subtree, name) => handmade.tree([{ ...directory, name, subtree }]), bottom);
    });
    expect(result).toMatchObject({ files: 3, others: 1, directories: 26, problems: [] });
    using root = DirectoryHandle.open(target);
    using deepest = root.openBelow(names);
    expect(readFileSync(deepest.at('file'), 'utf8')).toBe('deep');
    expect(readFileSync(deepest.at('same'), 'utf8')).toBe('onetwo');
    expect(lstatSync(deepest.at('same')).ino).toBe(lstatSync(deepest.at('parts')).ino);
    expect(readlinkSync(deepest.at('link'))).toBe('file');
    await removeTree(target);
  });
});

test('a cancelled restore stops, and throws that it was cancelled', async () => {
  for (let i = 0; i < 40; i++) writeFileSync(join(source, `f${i}`), randomBytes(500_000));
  const snapshot = await saved();
  await expect(
    opened.repository.restore({ snapshot, path: '', target, signal: AbortSignal.abort() }),
  ).rejects.toMatchObject({ code: 'cancelled' });
  const stop = new AbortController();
  const restoring = opened.repository.restore({
    snapshot,
    path: '',
    target: `${target}2`,
    signal: stop.signal,
    onProgress: () => stop.abort(),
  });
  await expect(restoring).rejects.toMatchObject({ code: 'cancelled' });
  expect(readdirSync(join(opened.location, 'locks'))).toEqual([]);
});

describe.runIf(isRoot)('who is not root', () => {
  const nobody = 65534;

  async function asNobody<T>(work: () => Promise<T>): Promise<T> {
    execFileSync('chown', ['-R', `${nobody}:${nobody}`, opened.location]);
    const home = join(folder, 'home');
    mkdirSync(home);
    chownSync(home, nobody, nobody);
    chmodSync(folder, 0o711);
    target = join(home, 'target');
    process.setegid?.(nobody);
    process.seteuid?.(nobody);
    try {
      return await work();
    } finally {
      process.seteuid?.(0);
      process.setegid?.(0);
    }
  }

  test('gets all that they may have, and hears of the rest', async () => {
    mkdirSync(join(source, 'd'), { mode: 0o500 });
    writeFileSync(join(source, 'd/read-only'), 'kept', { mode: 0o400 });
    execFileSync('setfattr', ['-n', 'user.note', '-v', 'kept', join(source, 'd/read-only')]);
    writeFileSync(join(source, 'setuid'), 'program');
    chmodSync(join(source, 'setuid'), 0o6755);
    execFileSync('mknod', [join(source, 'device'), 'c', '1', '3']);
    execFileSync('ln', [join(source, 'device'), join(source, 'device2')]);
    const snapshot = await saved();

    const result = await asNobody(() => restore(snapshot));
    // Setuid must not carry over: a program that ran with root's rights must not run with those of "nobody".
    expect(lstatSync(join(target, 'setuid')).mode & 0o7777).toBe(0o755);
    expect(lstatSync(join(target, 'd/read-only')).mode & 0o7777).toBe(0o400);
    const attribute = execFileSync('getfattr', [
      '--absolute-names',
      '-n',
      'user.note',
      join(target, 'd/read-only'),
    ]);
    expect(attribute.toString()).toContain('user.note="kept"');
    expect(existsSync(join(target, 'device'))).toBe(false);
    const messages = result.problems.map(({ path, message }) => `${path} ${message}`);
    expect(messages).toContain('device is a device, which only root may make');
    expect(messages).toContainEqual(expect.stringContaining('device2 is the same as'));
    expect(messages).toContain('setuid has another owner, which could not be set: EPERM');
    expect(messages.filter((message) => message.includes('attribute'))).toEqual([]);
  });
});
