import { execFileSync } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeHostileTree } from '../../test/support/hostile-tree.ts';
import { treeFacts } from '../../test/support/tree-facts.ts';
import type { Entry } from '../model/entry.ts';
import { applyMetadata } from './apply-metadata.ts';
import { copyTree } from '../volumes/mirror/copy-tree.ts';
import { materialize, type TreeMember } from './tree-writer.ts';
import { readTar } from './tar/read-tar.ts';
import { writeTar } from './tar/write-tar.ts';
import type { TreeProblem } from './tree-problem.ts';
import { walkTree } from './tree-walk.ts';

const isRoot = process.getuid?.() === 0;
let folder: string;
let target: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-tree-'));
  target = join(folder, 'target');
  mkdirSync(target);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(!isRoot)('a tree with everything that is hard to carry', () => {
  test.each([true, false])('is the same after copyTree() (staged: %s)', async (isStaged) => {
    const from = join(folder, 'from');
    await makeHostileTree(from, { socket: true });
    const problems: TreeProblem[] = [];
    const counts = await copyTree(from, target, { isStaged, onProblem: (problem) => problems.push(problem) });
    expect(problems).toEqual([]);
    expect(counts.files).toBeGreaterThan(25);
    expect(treeFacts(target)).toEqual(treeFacts(from));
  });

  test('is the same after it went through a tar archive', async () => {
    const from = join(folder, 'from');
    await makeHostileTree(from);
    const problems: TreeProblem[] = [];
    const onProblem = (problem: TreeProblem) => problems.push(problem);
    const archive = writeTar(walkTree(from, { onProblem }), { onProblem });
    await materialize(target, readTar(archive, { onProblem }), { onProblem });
    expect(problems).toEqual([]);
    expect(treeFacts(target)).toEqual(treeFacts(from));
  });

  test('is the same when it is written over itself again', async () => {
    const from = join(folder, 'from');
    await makeHostileTree(from);
    await copyTree(from, target);
    await copyTree(from, target);
    expect(treeFacts(target)).toEqual(treeFacts(from));
  });

  test('does not inherit attributes from its new place', async () => {
    const from = join(folder, 'from');
    await makeHostileTree(from);
    execFileSync('setfacl', ['-d', '-m', 'u:4711:rwx', target]);
    await copyTree(from, target);
    expect(treeFacts(target)).toEqual(treeFacts(from));
  });
});

describe('materialize()', () => {
  test('never writes through a symbolic link that an earlier entry made', async () => {
    const outside = join(folder, 'outside');
    mkdirSync(outside);
    const run = materialize(target, members([link('a', outside), file('a/passwd', 'evil')]));
    await expect(run).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('"a"') });
    expect(readdirSync(outside)).toEqual([]);
  });

  test('replaces a symbolic link by a file of the same name instead of writing to its target', async () => {
    const outside = join(folder, 'outside');
    writeFileSync(outside, 'untouched');
    await materialize(target, members([link('a', outside), file('a', 'inside')]));
    expect(readFileSync(outside, 'utf8')).toBe('untouched');
    expect(readFileSync(join(target, 'a'), 'utf8')).toBe('inside');
    expect(lstatSync(join(target, 'a')).isFile()).toBe(true);
  });

  test('replaces a symbolic link by a directory, whose metadata does not reach the target of the link', async () => {
    const outside = join(folder, 'outside');
    mkdirSync(outside, { mode: 0o711 });
    const entry = { ...directory('a'), mode: 0o777 };
    await materialize(target, members([link('a', outside), { entry, body: bytes() }, file('a/b', 'x')]));
    expect(readdirSync(outside)).toEqual([]);
    expect(statSync(outside).mode & 0o777).toBe(0o711);
    expect(lstatSync(join(target, 'a')).isDirectory()).toBe(true);
  });

  test('never links to a file outside through a symbolic link', async () => {
    const outside = join(folder, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'secret'), 'secret');
    const hard = { entry: { ...file('stolen', '').entry, hardLinkTo: 'a/secret' }, body: bytes() };
    await expect(materialize(target, members([link('a', outside), hard]))).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(readdirSync(target)).toEqual(['a']);
  });

  test('does not go through a symbolic link that was there before', async () => {
    symlinkSync(folder, join(target, 'up'));
    await expect(materialize(target, members([file('up/x', 'evil')]))).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(readdirSync(folder)).toEqual(['target']);
  });

  test('writes only below its root, for any entries', async () => {
    const name = fc.constantFrom('a', 'b', 'c');
    const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
    const up = fc.constantFrom('..', '../outside', '../../outside', '/tmp', 'a', '.', 'b/..');
    const entry = fc.oneof(
      path.map((one) => file(one, 'content')),
      path.map((one) => ({ entry: directory(one), body: bytes() })),
      fc.tuple(path, up).map(([one, to]) => link(one, to)),
      fc
        .tuple(path, path)
        .map(([one, to]) => ({ entry: { ...file(one, '').entry, hardLinkTo: to }, body: bytes() })),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 14 }), fc.boolean(), async (list, isStaged) => {
        const outside = join(folder, 'outside');
        rmSync(target, { recursive: true });
        rmSync(outside, { recursive: true, force: true });
        mkdirSync(target);
        mkdirSync(outside);
        writeFileSync(join(outside, 'a'), 'untouched');
        await materialize(target, members(list), { isStaged }).catch((error: unknown) =>
          expect(error).toMatchObject({ name: 'AppError' }),
        );
        expect(readdirSync(folder).sort()).toEqual(['outside', 'target']);
        expect(readdirSync(outside)).toEqual(['a']);
        expect(readFileSync(join(outside, 'a'), 'utf8')).toBe('untouched');
        expect(execFileSync('find', [target, '-name', '.holdfast-*'], { encoding: 'utf8' })).toBe('');
      }),
      { numRuns: 150 },
    );
  });

  test.each(['..', '../x', 'a/../../x', '/x', 'a//x', 'a/./x', 'a/..', 'x\0y', 'x/'])(
    'refuses the path %j, and a link to it',
    async (path) => {
      const hard = { entry: { ...file('link', '').entry, hardLinkTo: path }, body: bytes() };
      for (const member of [file(path, 'evil'), { entry: directory(path), body: bytes() }, hard]) {
        await expect(materialize(target, members([member]))).rejects.toMatchObject({ code: 'integrity' });
      }
      expect(readdirSync(folder)).toEqual(['target']);
      expect(readdirSync(target)).toEqual([]);
    },
  );

  test('keeps a directory that is not empty when a file wants its place', async () => {
    const run = materialize(target, members([file('d/x', 'x'), file('d', 'file')]));
    await expect(run).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('not empty'),
    });
    expect(readFileSync(join(target, 'd/x'), 'utf8')).toBe('x');
  });

  test('leaves no part of a file behind when its content fails', async () => {
    const failing = async function* () {
      yield Buffer.from('half');
      throw Object.assign(new Error('gone'), { code: 'EIO' });
    };
    const run = materialize(target, members([{ entry: file('a', 'half and more').entry, body: failing() }]));
    await expect(run).rejects.toMatchObject({ code: 'failed' });
    expect(readdirSync(target)).toEqual([]);
  });

  test('sets directories right although they are filled after they were made', async () => {
    const entry = { ...directory('d'), mode: 0o555, mtimeNs: -1_500_000_000n };
    await materialize(target, members([{ entry, body: bytes() }, file('d/inside', 'x')]));
    const stat = lstatSync(join(target, 'd'), { bigint: true });
    expect([stat.mode & 0o777n, stat.mtimeNs]).toEqual([0o555n, -1_500_000_000n]);
  });

  test('makes trees that are deeper than a path may be long, and walks and removes them again', async () => {
    const parts = Array.from({ length: 400 }, (_, index) => `level-${index}-of-four-hundred`);
    const path = parts.join('/');
    await materialize(target, members([file(`${path}/bottom`, 'deep')]));
    const found: Entry[] = [];
    const problems: TreeProblem[] = [];
    for await (const { entry } of walkTree(target, { onProblem: (problem) => problems.push(problem) }))
      found.push(entry);
    expect(problems).toEqual([]);
    expect(found).toHaveLength(402);
    expect(found.at(-1)?.path).toBe(`${path}/bottom`);
    execFileSync('rm', ['-rf', target]);
    mkdirSync(target);
  });

  test('stops when its signal is aborted', async () => {
    const run = materialize(target, members([file('a', 'x')]), { signal: AbortSignal.abort() });
    await expect(run).rejects.toMatchObject({ code: 'cancelled' });
  });

  test('says that a name is too long for the file system', async () => {
    const run = materialize(target, members([file('n'.repeat(300), 'x')]));
    await expect(run).rejects.toMatchObject({ code: 'failed', message: expect.stringContaining('too long') });
  });

  test.skipIf(!isRoot)(
    'says that the disk is full, and leaves no part of the file that did not fit',
    async () => {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', target]);
      try {
        const run = materialize(target, members([file('fits', 'x'), file('big', 'x'.repeat(3_000_000))]));
        await expect(run).rejects.toMatchObject({ code: 'full', message: expect.stringContaining('"big"') });
        expect(readdirSync(target)).toEqual(['fits']);
      } finally {
        execFileSync('umount', [target]);
      }
    },
  );

  test.skipIf(!isRoot)(
    'reports what another user may not do and continues, without granting setuid to a wrong owner',
    () => {
      const script = `
      import { materialize } from ${JSON.stringify(join(import.meta.dirname, 'tree-writer.ts'))};
      process.setgroups([]); process.setgid(65534); process.setuid(65534);
      const problems = [];
      const base = { mode: 0o4755, uid: 0, gid: 0, mtimeNs: 5n, size: 0 };
      async function* list() {
        yield { entry: { ...base, path: 'suid', type: 'file' }, body: [] };
        yield { entry: { ...base, path: 'dev', type: 'chardev', deviceMajor: 1, deviceMinor: 3 }, body: [] };
        yield { entry: { ...base, path: 'same', type: 'chardev', hardLinkTo: 'dev' }, body: [] };
      }
      await materialize(${JSON.stringify(target)}, list(), { onProblem: (p) => problems.push(p.path + ' ' + p.reason) });
      console.log(JSON.stringify(problems));
    `;
      execFileSync('chmod', ['-R', 'a+rwx', folder]);
      execFileSync('chmod', ['a+rx', join(folder, '..'), join(folder, '../..')]);
      const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
        encoding: 'utf8',
      });
      expect(JSON.parse(output)).toEqual(['suid metadata', 'dev unsupported', 'same unsupported']);
      expect(lstatSync(join(target, 'suid')).mode & 0o7777).toBe(0o755);
    },
  );
});

function file(path: string, content: string): TreeMember {
  const entry: Entry = { path, type: 'file', mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n, size: content.length };
  return { entry, body: bytes(content) };
}

function directory(path: string): Entry {
  return { path, type: 'dir', mode: 0o755, uid: 0, gid: 0, mtimeNs: 0n, size: 0 };
}

function link(path: string, linkTarget: string): TreeMember {
  return { entry: { ...file(path, '').entry, type: 'symlink', linkTarget }, body: bytes() };
}

function bytes(content = ''): AsyncIterable<Uint8Array> {
  return {
    async *[Symbol.asyncIterator]() {
      if (content !== '') yield Buffer.from(content);
    },
  };
}

async function* members(list: readonly TreeMember[]): AsyncGenerator<TreeMember> {
  yield* list;
}

describe('resists replacements by another user who owns the target', () => {
  const plain = { mode: 0o777, uid: 65534, gid: 65534, mtimeNs: 0n, size: 0 } as const;

  async function* nothing(): AsyncGenerator<Uint8Array> {}

  test('does not get the metadata of a directory', async () => {
    const own = join(target, 'own');
    mkdirSync(own, { mode: 0o700 });
    async function* members(): AsyncGenerator<TreeMember> {
      yield { entry: { ...plain, path: 'made', type: 'dir' }, body: nothing() };
      renameSync(join(target, 'made'), join(target, 'aside'));
      renameSync(own, join(target, 'made'));
      yield { entry: { ...plain, path: 'last', type: 'dir' }, body: nothing() };
    }
    await expect(materialize(target, members(), {})).rejects.toMatchObject({ code: 'conflict' });
    const { mode, uid } = lstatSync(join(target, 'made'));
    expect([mode & 0o777, uid]).toEqual([0o700, process.geteuid?.()]);
  });

  test('does not get the owner of a symbolic link', () => {
    writeFileSync(join(target, 'link'), 'own', { mode: 0o600 });
    const entry: Entry = { ...plain, path: 'link', type: 'symlink', linkTarget: 'x' };
    expect(() => applyMetadata({ at: join(target, 'link') }, entry, () => undefined)).toThrow(
      'another program has put something else in its place',
    );
    expect(lstatSync(join(target, 'link')).uid).toBe(process.geteuid?.());
  });
});
