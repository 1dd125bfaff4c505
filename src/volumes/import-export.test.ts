import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeHostileTree } from '../../test/support/hostile-tree.ts';
import { treeFacts } from '../../test/support/tree-facts.ts';
import { namesIn } from '../../test/fixtures/directory-host.ts';
import { openHostVolumes } from './open-host-volumes.ts';
import { isRoot, plain, useEngine } from '../../test/fixtures/engine-under-test.ts';

describe.each(['direct', 'stream'] as const)('export() and import() (%s)', (way) => {
  const t = useEngine(way);
  test.skipIf(!isRoot).each(['tar', 'tar.gz', 'tar.zst'])('carry everything through %s', async (ending) => {
    await t.engine.create({ ...plain, name: 'from' });
    await makeHostileTree(t.host.path('from'));
    const exported = await t.engine.export({ volume: 'from', to: t.local(`a.${ending}`) });
    expect(exported).toMatchObject({ format: ending, problems: [], way });
    expect(exported.archiveBytes).toBe(statSync(join(t.folder, `a.${ending}`)).size);
    const imported = await t.engine.import({ volume: 'to', from: t.local(`a.${ending}`), create: plain });
    expect(imported).toMatchObject({ wasCreated: true, problems: [] });
    expect(treeFacts(t.host.path('to'))).toEqual(treeFacts(t.host.path('from')));
    expect(namesIn(t.folder).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test.each(['gzip', 'zstd'])('read what %s has compressed', async (program) => {
    await t.create('from', { 'd/a': 'content' });
    execFileSync('tar', ['-C', t.host.path('from'), '-cf', join(t.folder, 'a.tar'), '.']);
    execFileSync(program, ['-q', join(t.folder, 'a.tar')]);
    const name = program === 'gzip' ? 'a.tar.gz' : 'a.tar.zst';
    await t.engine.import({ volume: 'to', from: t.local(name), create: plain });
    expect(readFileSync(join(t.host.path('to'), 'd/a'), 'utf8')).toBe('content');
  });

  test('refuse a volume that does not exist or is not empty, unless told to merge', async () => {
    await t.create('from', { a: 'new', d: 'd' });
    await t.engine.export({ volume: 'from', to: t.local('a.tar') });
    await expect(t.engine.import({ volume: 'typo', from: t.local('a.tar') })).rejects.toMatchObject({
      code: 'not-found',
    });
    expect(await t.host.findVolume('typo')).toBeUndefined();
    const to = await t.create('to', { a: 'old', b: 'kept' });
    await expect(t.engine.import({ volume: 'to', from: t.local('a.tar') })).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(readFileSync(join(to, 'a'), 'utf8')).toBe('old');
    await t.engine.import({ volume: 'to', from: t.local('a.tar'), merge: true });
    expect([namesIn(to), readFileSync(join(to, 'a'), 'utf8')]).toEqual([['a', 'b', 'd'], 'new']);
  });

  test.each(['a.tar', 'a.tar.gz', 'a.tar.zst'])('leave no trace of %s that ends too early', async (name) => {
    await t.create('from', {
      a: 'a'.repeat(50_000),
      b: execFileSync('head', ['-c', '50000', '/dev/urandom'], { encoding: 'latin1' }),
    });
    await t.engine.export({ volume: 'from', to: t.local(name) });
    truncateSync(join(t.folder, name), Math.floor(statSync(join(t.folder, name)).size * 0.7));
    const run = t.engine.import({ volume: 'to', from: t.local(name), create: plain });
    await expect(run).rejects.toMatchObject({ code: 'integrity' });
    expect(await t.host.findVolume('to')).toBeUndefined();
    if (way === 'stream') return;
    const empty = await t.create('empty');
    await expect(t.engine.import({ volume: 'empty', from: t.local(name) })).rejects.toMatchObject({
      code: 'integrity',
    });
    expect(namesIn(empty)).toEqual([]);
  });

  test('keep an existing file, and write no part of a new one when they are cancelled', async () => {
    await t.create('from', { a: 'a'.repeat(200_000) });
    writeFileSync(join(t.folder, 'a.tar'), 'precious');
    await expect(t.engine.export({ volume: 'from', to: t.local('a.tar') })).rejects.toMatchObject({
      code: 'exists',
    });
    const cancel = new AbortController();
    const run = t.engine.export(
      { volume: 'from', to: t.local('a.tar'), overwrite: true },
      { signal: cancel.signal, onProgress: () => cancel.abort() },
    );
    await expect(run).rejects.toMatchObject({ code: 'cancelled' });
    expect(readFileSync(join(t.folder, 'a.tar'), 'utf8')).toBe('precious');
    await t.engine.export({ volume: 'from', to: t.local('a.tar'), overwrite: true });
    expect(statSync(join(t.folder, 'a.tar')).size).toBeGreaterThan(200_000);
    expect(statSync(join(t.folder, 'a.tar')).mode & 0o777).toBe(0o600);
    expect(namesIn(t.folder)).toEqual(['a.tar', 'volumes']);
  });

  test('work with streams', async () => {
    await t.create('from', { a: 'content' });
    const chunks: Uint8Array[] = [];
    const write = async (chunk: Uint8Array) => void chunks.push(chunk);
    await t.engine.export({ volume: 'from', to: { kind: 'stream', write }, format: 'tar.zst' });
    const bytes = (async function* () {
      yield* chunks;
    })();
    await t.engine.import({ volume: 'to', from: { kind: 'stream', bytes }, create: plain });
    expect(readFileSync(join(t.host.path('to'), 'a'), 'utf8')).toBe('content');
  });

  test('note a socket that an archive cannot hold', async () => {
    const root = await t.create('from', { a: 'a' });
    if (isRoot) await makeHostileTree(join(root, 'tree'), { socket: true });
    const report = await t.engine.export({ volume: 'from', to: t.local('a.tar') });
    expect(report.problems).toEqual([]);
    const isNoted = report.notes.some((note) => note.includes('"tree/socket"'));
    // Over the streamed way, the host leaves it out and lists it among its limits.
    expect(isNoted).toBe(isRoot && way === 'direct');
    expect(report.limits.length > 0).toBe(way === 'stream');
  });

  test('name an unknown format', async () => {
    await t.create('from');
    await expect(t.engine.export({ volume: 'from', to: t.local('a.tar.xz') })).rejects.toMatchObject({
      code: 'unsupported',
    });
    writeFileSync(join(t.folder, 'x'), Buffer.from('fd377a585a000000000000', 'hex'));
    await expect(t.engine.import({ volume: 'to', from: t.local('x'), create: plain })).rejects.toMatchObject({
      code: 'unsupported',
    });
    await expect(
      t.engine.import({ volume: 'to', from: t.local('none'), create: plain }),
    ).rejects.toMatchObject({ code: 'not-found' });
    expect(await t.host.findVolume('to')).toBeUndefined();
  });

  test('does not remove a volume that another process made and filled at the same moment', async () => {
    await t.create('from', { a: 'a' });
    await t.engine.export({ volume: 'from', to: t.local('a.tar') });
    const to = await t.create('to', { precious: 'x' });
    // As if the volume had been made between the look and the creation.
    const engine = openHostVolumes({
      host: { ...t.host, findVolume: async () => undefined },
      leases: undefined,
    });
    const run = engine.import({ volume: 'to', from: t.local('a.tar'), create: plain });
    await expect(run).rejects.toMatchObject({ code: 'conflict' });
    expect(namesIn(to)).toEqual(['precious']);
  });
});

describe('import() directly', () => {
  const t = useEngine('direct');

  test('clears what a killed import left, and refuses while another one runs', async () => {
    const to = await t.create('to');
    mkdirSync(join(to, '.holdfast-stage-0123456789abcdef/half'), { recursive: true });
    await t.create('from', { a: 'a' });
    await t.engine.export({ volume: 'from', to: t.local('a.tar') });
    const { promise: blocked, resolve: release } = Promise.withResolvers<void>();
    const never = (async function* () {
      yield readFileSync(join(t.folder, 'a.tar')).subarray(0, 600);
      await blocked;
    })();
    const first = t.engine.import({ volume: 'to', from: { kind: 'stream', bytes: never } });
    await expect
      .poll(() => namesIn(to).some((name) => name.startsWith('.holdfast-stage-') && !name.endsWith('cdef')))
      .toBe(true);
    await expect(t.engine.import({ volume: 'to', from: t.local('a.tar') })).rejects.toMatchObject({
      code: 'locked',
    });
    release();
    await expect(first).rejects.toMatchObject({ code: 'integrity' });
    expect(namesIn(to)).toEqual([]);
    await t.engine.import({ volume: 'to', from: t.local('a.tar') });
    expect(namesIn(to)).toEqual(['a']);
  });

  test('takes nothing from behind a symbolic link that looks like a killed import', async () => {
    const to = await t.create('to');
    mkdirSync(join(t.folder, 'outside'));
    writeFileSync(join(t.folder, 'outside/kept'), '');
    for (const kind of ['ready', 'stage'])
      symlinkSync(join(t.folder, 'outside'), join(to, `.holdfast-${kind}-0123456789abcdef`));
    await t.create('from', { a: 'a' });
    await t.engine.export({ volume: 'from', to: t.local('a.tar') });
    await t.engine.import({ volume: 'to', from: t.local('a.tar') });
    expect(namesIn(to)).toEqual(['a']);
    expect(namesIn(join(t.folder, 'outside'))).toEqual(['kept']);
  });

  test('finishes a killed import that was being moved into place', async () => {
    const to = await t.create('to', { first: '1', '.holdfast-ready-0123456789abcdef/second': '2' });
    await t.create('from', { a: 'a' });
    await t.engine.export({ volume: 'from', to: t.local('a.tar') });
    await expect(t.engine.import({ volume: 'to', from: t.local('a.tar') })).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(namesIn(to)).toEqual(['first', 'second']);
  });

  test('takes nothing from an archive that writes through its own link', async () => {
    const evil = join(t.folder, 'evil');
    mkdirSync(join(evil, 'a'), { recursive: true });
    writeFileSync(join(evil, 'a/passwd'), 'evil');
    symlinkSync(t.folder, join(evil, 'link'));
    const archive = join(t.folder, 'evil.tar');
    execFileSync('tar', ['-C', evil, '-cf', archive, 'link', '--transform=s,^a/,link/,', 'a/passwd']);
    const to = await t.create('to');
    await expect(t.engine.import({ volume: 'to', from: t.local('evil.tar') })).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(namesIn(to)).toEqual([]);
    expect(existsSync(join(t.folder, 'passwd'))).toBe(false);
  });

  test.skipIf(!isRoot)('leaves an empty volume empty when the disk is full', async () => {
    await t.create('from', { big: 'x'.repeat(3_000_000) });
    await t.engine.export({ volume: 'from', to: t.local('a.tar') });
    const to = await t.create('to');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', to]);
    try {
      await expect(t.engine.import({ volume: 'to', from: t.local('a.tar') })).rejects.toMatchObject({
        code: 'full',
      });
      expect(namesIn(to)).toEqual([]);
    } finally {
      execFileSync('umount', [to]);
    }
  });

  test('refuses to export a volume into itself and to copy a directory into itself', async () => {
    await t.create('v', { 'd/a': 'a' });
    const inside = { kind: 'path', path: join(t.host.path('v'), 'a.tar') } as const;
    await expect(t.engine.export({ volume: 'v', to: inside })).rejects.toMatchObject({ code: 'usage' });
    const itself = {
      from: { kind: 'path', path: t.host.path('v') },
      to: { volume: 'v', path: 'd' },
    } as const;
    await expect(t.engine.copyIn(itself)).rejects.toMatchObject({ code: 'usage' });
    const out = {
      from: { volume: 'v', path: '' },
      to: { kind: 'path', path: join(t.host.path('v'), 'd') },
    } as const;
    await expect(t.engine.copyOut(out)).rejects.toMatchObject({ code: 'usage' });
  });
});
