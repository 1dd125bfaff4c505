import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeHostileTree } from '../../test/support/hostile-tree.ts';
import { treeFacts } from '../../test/support/tree-facts.ts';
import { parseVolumeFilter } from '../model/filter.ts';
import { consumer, type DirectoryHost, namesIn, openDirectoryHost } from './directory-host.fixture.ts';
import { openEngine } from './open-engine.ts';
import type { VolumeEngine } from './volume-engine.ts';

const isRoot = process.getuid?.() === 0;
const plain = { driver: '', labels: {}, options: {} };
let folder: string;
let host: DirectoryHost;
let engine: VolumeEngine;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-engine-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function create(name: string, content: Readonly<Record<string, string>> = {}): Promise<string> {
  await engine.create({ ...plain, name });
  for (const [path, text] of Object.entries(content)) {
    mkdirSync(join(host.path(name), path, '..'), { recursive: true });
    writeFileSync(join(host.path(name), path), text);
  }
  return host.path(name);
}

function local(path: string) {
  return { kind: 'path', path: join(folder, path) } as const;
}

describe('volumes as such', () => {
  beforeEach(() => {
    host = openDirectoryHost(folder, 'direct');
    engine = openEngine({ host });
  });

  test('list() takes a filter, and inspect() names a volume that is not there', async () => {
    await engine.create({ ...plain, name: 'one', labels: { a: '1' } });
    await engine.create({ ...plain, name: 'two' });
    const names = async (...texts: string[]) =>
      (await engine.list(parseVolumeFilter(texts))).map((volume) => volume.name);
    expect(await names()).toEqual(['one', 'two']);
    expect(await names('label=a=1')).toEqual(['one']);
    await expect(engine.inspect('three')).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('"three"'),
    });
    expect(await host.findVolume('three')).toBeUndefined();
  });

  test('remove() tries each name and says what became of it', async () => {
    await create('free');
    await create('used');
    host.set('used', { consumers: [consumer('web-db-1')] });
    const report = await engine.remove(['used', 'gone', 'free'], { force: false });
    expect(report.removed).toEqual(['free']);
    expect(report.failures.map(({ name, error }) => `${name} ${error.code}`)).toEqual([
      'used in-use',
      'gone not-found',
    ]);
    expect(report.failures[0]?.error.message).toContain('"web-db-1"');
    expect(await engine.remove(['gone', 'used'], { force: true })).toMatchObject({
      missing: ['gone'],
      failures: [{ name: 'used' }],
    });
    await expect(engine.remove([])).rejects.toMatchObject({ code: 'usage' });
  });

  test('planPrune() chooses as Docker does and says why, with sizes', async () => {
    await create('named');
    await create('anonymous', { a: '12345' });
    await create('used');
    await create('other');
    await create('bound');
    host.set('anonymous', { anonymous: true });
    host.set('used', { anonymous: true, consumers: [consumer('web', 'exited')] });
    host.set('other', { anonymous: true, driver: 'nfs' });
    host.set('bound', { anonymous: true, options: { device: '/x', o: 'bind', type: 'none' } });
    const plan = await engine.planPrune(parseVolumeFilter([], 'prune'));
    expect(plan.remove.map(({ volume, reason, bytes }) => [volume.name, reason, bytes])).toEqual([
      ['anonymous', 'unused-anonymous', 5],
    ]);
    expect(plan.keep.map(({ volume, reason }) => [volume.name, reason])).toEqual([
      ['bound', 'has-options'],
      ['named', 'named'],
      ['other', 'other-driver'],
      ['used', 'in-use'],
    ]);
    expect(plan.keep[3]?.why).toBe('It is in use by "web" (stopped).');
    const all = await engine.planPrune(parseVolumeFilter(['all=true'], 'prune'));
    expect(all.remove.map(({ volume }) => volume.name)).toEqual(['anonymous', 'named']);
  });

  test('applyPrune() leaves what came into use, or was made anew, since it was planned', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await create(name);
    const plan = await engine.planPrune(parseVolumeFilter(['all=1'], 'prune'));
    host.set('a', { consumers: [consumer('new')] });
    host.set('b', { createdAt: '2001-01-01T00:00:00Z' });
    await host.removeVolume('c');
    const report = await engine.applyPrune(plan);
    expect(report.removed).toEqual(['d']);
    expect(report.failures.map(({ name, error }) => `${name} ${error.code}`)).toEqual([
      'a in-use',
      'b conflict',
    ]);
  });

  test('usage() counts hard links once, holes as apparent bytes, and what lies at the top', async () => {
    const root = await create('v', { 'big/one': 'x'.repeat(5000), small: 'y' });
    linkSync(join(root, 'big/one'), join(root, 'big/again'));
    writeFileSync(join(root, 'sparse'), '');
    truncateSync(join(root, 'sparse'), 10_000_000);
    const [usage] = await engine.usage(['v']);
    expect(usage).toMatchObject({ name: 'v', bytes: 10_005_001, files: 3, directories: 2, others: 0 });
    expect(usage?.allocatedBytes).toBeLessThan(1_000_000);
    expect(usage?.top.map(({ path, bytes }) => [path, bytes])).toEqual([
      ['sparse', 10_000_000],
      ['big', 5000],
      ['small', 1],
    ]);
    await expect(engine.usage(['nothing'])).rejects.toMatchObject({ code: 'not-found' });
  });
});

describe.each(['direct', 'stream'] as const)('data over the way "%s"', (way) => {
  beforeEach(() => {
    host = openDirectoryHost(folder, way);
    engine = openEngine({ host });
  });
  /** What GNU tar, which unpacks in the streamed way, sets for directories is not exact in all orders. */
  const facts = (path: string) => treeFacts(path);

  describe('clone()', () => {
    test.skipIf(!isRoot)('makes an exact copy, the root and its labels included', async () => {
      await engine.create({
        ...plain,
        name: 'from',
        labels: { keep: '1', 'com.docker.compose.project': 'p' },
      });
      await makeHostileTree(host.path('from'), { socket: way === 'direct' });
      chmodSync(host.path('from'), 0o1751);
      const report = await engine.clone({ from: 'from', to: 'to', labels: { added: '2' } });
      expect(report).toMatchObject({ way, wasCreated: true, problems: [], notes: [] });
      expect(report.volume).toMatchObject({ name: 'to', labels: { keep: '1', added: '2' } });
      expect(report.bytes).toBeGreaterThan(3_000_000);
      expect(facts(host.path('to'))).toEqual(facts(host.path('from')));
    });

    test('refuses a target that holds something, and leaves it as it is', async () => {
      await create('from', { a: 'a' });
      const to = await create('to', { b: 'b' });
      await expect(engine.clone({ from: 'from', to: 'to' })).rejects.toMatchObject({ code: 'conflict' });
      expect(namesIn(to)).toEqual(['b']);
    });

    test('fills an empty target that was there', async () => {
      await create('from', { a: 'a' });
      const to = await create('to');
      expect(await engine.clone({ from: 'from', to: 'to' })).toMatchObject({ wasCreated: false });
      expect(readFileSync(join(to, 'a'), 'utf8')).toBe('a');
    });

    test('refuses itself and a source that is not there, and makes nothing then', async () => {
      await create('from');
      await expect(engine.clone({ from: 'from', to: 'from' })).rejects.toMatchObject({ code: 'usage' });
      await expect(engine.clone({ from: 'form', to: 'to' })).rejects.toMatchObject({ code: 'not-found' });
      expect(await host.findVolume('to')).toBeUndefined();
    });

    test('notes who was using the source, and does not share a place that options name', async () => {
      await create('from', { a: 'a' });
      host.set('from', {
        consumers: [consumer('db-1')],
        options: { type: 'none', o: 'bind', device: '/srv' },
      });
      const report = await engine.clone({ from: 'from', to: 'to' });
      expect(report.notes.join(' ')).toMatch(/"db-1" \(running\).*|plain volume/);
      expect(report.notes).toHaveLength(2);
      expect(report.volume.options).toEqual({});
    });

    test('removes the target that it made when it is cancelled', async () => {
      await create('from', { a: 'a'.repeat(100_000), b: 'b' });
      const cancel = new AbortController();
      const run = engine.clone(
        { from: 'from', to: 'to' },
        { signal: cancel.signal, onProgress: () => cancel.abort() },
      );
      await expect(run).rejects.toMatchObject({ code: 'cancelled' });
      expect(await host.findVolume('to')).toBeUndefined();
    });
  });

  describe('export() and import()', () => {
    test.skipIf(!isRoot).each(['tar', 'tar.gz', 'tar.zst'])('carry everything through %s', async (ending) => {
      await engine.create({ ...plain, name: 'from' });
      await makeHostileTree(host.path('from'));
      const exported = await engine.export({ volume: 'from', to: local(`a.${ending}`) });
      expect(exported).toMatchObject({ format: ending, problems: [], way });
      expect(exported.archiveBytes).toBe(statSync(join(folder, `a.${ending}`)).size);
      const imported = await engine.import({ volume: 'to', from: local(`a.${ending}`), create: plain });
      expect(imported).toMatchObject({ wasCreated: true, problems: [] });
      expect(facts(host.path('to'))).toEqual(facts(host.path('from')));
      expect(namesIn(folder).filter((name) => name.startsWith('.'))).toEqual([]);
    });

    test.each(['gzip', 'zstd'])('read what %s has compressed', async (program) => {
      await create('from', { 'd/a': 'content' });
      execFileSync('tar', ['-C', host.path('from'), '-cf', join(folder, 'a.tar'), '.']);
      execFileSync(program, ['-q', join(folder, 'a.tar')]);
      const name = program === 'gzip' ? 'a.tar.gz' : 'a.tar.zst';
      await engine.import({ volume: 'to', from: local(name), create: plain });
      expect(readFileSync(join(host.path('to'), 'd/a'), 'utf8')).toBe('content');
    });

    test('refuse a volume that does not exist or is not empty, unless asked to merge', async () => {
      await create('from', { a: 'new', d: 'd' });
      await engine.export({ volume: 'from', to: local('a.tar') });
      await expect(engine.import({ volume: 'typo', from: local('a.tar') })).rejects.toMatchObject({
        code: 'not-found',
      });
      expect(await host.findVolume('typo')).toBeUndefined();
      const to = await create('to', { a: 'old', b: 'kept' });
      await expect(engine.import({ volume: 'to', from: local('a.tar') })).rejects.toMatchObject({
        code: 'conflict',
      });
      expect(readFileSync(join(to, 'a'), 'utf8')).toBe('old');
      await engine.import({ volume: 'to', from: local('a.tar'), merge: true });
      expect([namesIn(to), readFileSync(join(to, 'a'), 'utf8')]).toEqual([['a', 'b', 'd'], 'new']);
    });

    test.each(['a.tar', 'a.tar.gz', 'a.tar.zst'])(
      'leave no trace of %s that ends too early',
      async (name) => {
        await create('from', {
          a: 'a'.repeat(50_000),
          b: execFileSync('head', ['-c', '50000', '/dev/urandom'], { encoding: 'latin1' }),
        });
        await engine.export({ volume: 'from', to: local(name) });
        truncateSync(join(folder, name), Math.floor(statSync(join(folder, name)).size * 0.7));
        const run = engine.import({ volume: 'to', from: local(name), create: plain });
        await expect(run).rejects.toMatchObject({ code: 'integrity' });
        expect(await host.findVolume('to')).toBeUndefined();
        if (way === 'stream') return;
        const empty = await create('empty');
        await expect(engine.import({ volume: 'empty', from: local(name) })).rejects.toMatchObject({
          code: 'integrity',
        });
        expect(namesIn(empty)).toEqual([]);
      },
    );

    test('keep a file that exists, and write no part of a new one when they are cancelled', async () => {
      await create('from', { a: 'a'.repeat(200_000) });
      writeFileSync(join(folder, 'a.tar'), 'precious');
      await expect(engine.export({ volume: 'from', to: local('a.tar') })).rejects.toMatchObject({
        code: 'exists',
      });
      const cancel = new AbortController();
      const run = engine.export(
        { volume: 'from', to: local('a.tar'), overwrite: true },
        { signal: cancel.signal, onProgress: () => cancel.abort() },
      );
      await expect(run).rejects.toMatchObject({ code: 'cancelled' });
      expect(readFileSync(join(folder, 'a.tar'), 'utf8')).toBe('precious');
      await engine.export({ volume: 'from', to: local('a.tar'), overwrite: true });
      expect(statSync(join(folder, 'a.tar')).size).toBeGreaterThan(200_000);
      expect(statSync(join(folder, 'a.tar')).mode & 0o777).toBe(0o600);
      expect(namesIn(folder)).toEqual(['a.tar', 'volumes']);
    });

    test('work with streams', async () => {
      await create('from', { a: 'content' });
      const chunks: Uint8Array[] = [];
      const write = async (chunk: Uint8Array) => void chunks.push(chunk);
      await engine.export({ volume: 'from', to: { kind: 'stream', write }, format: 'tar.zst' });
      const bytes = (async function* () {
        yield* chunks;
      })();
      await engine.import({ volume: 'to', from: { kind: 'stream', bytes }, create: plain });
      expect(readFileSync(join(host.path('to'), 'a'), 'utf8')).toBe('content');
    });

    test('name a format that they do not know', async () => {
      await create('from');
      await expect(engine.export({ volume: 'from', to: local('a.tar.xz') })).rejects.toMatchObject({
        code: 'unsupported',
      });
      writeFileSync(join(folder, 'x'), Buffer.from('fd377a585a000000000000', 'hex'));
      await expect(engine.import({ volume: 'to', from: local('x'), create: plain })).rejects.toMatchObject({
        code: 'unsupported',
      });
      await expect(engine.import({ volume: 'to', from: local('none'), create: plain })).rejects.toMatchObject(
        { code: 'not-found' },
      );
      expect(await host.findVolume('to')).toBeUndefined();
    });
  });

  describe('copyIn() and copyOut()', () => {
    const place = (path: string, suffix: '' | '/' | '/.' = '') => ({ volume: 'v', path, suffix });

    beforeEach(async () => {
      await create('v', { 'dir/old': 'old', file: 'file' });
      mkdirSync(join(folder, 'src/sub'), { recursive: true });
      writeFileSync(join(folder, 'src/a'), 'a');
      writeFileSync(join(folder, 'src/sub/b'), 'b');
    });

    test.each([
      { what: 'a file to a new name', from: 'src/a', to: place('new'), there: 'new' },
      { what: 'a file over a file', from: 'src/a', to: place('file'), there: 'file' },
      { what: 'a file into a directory', from: 'src/a', to: place('dir'), there: 'dir/a' },
      { what: 'a file into the root', from: 'src/a', to: place(''), there: 'a' },
      { what: 'a directory into a directory', from: 'src', to: place('dir'), there: 'dir/src/a' },
      { what: 'a directory to a new name', from: 'src', to: place('new'), there: 'new/a' },
      { what: 'what is in a directory', from: 'src/.', to: place('dir'), there: 'dir/sub/../../dir/a' },
    ])('copies $what', async ({ from, to, there }) => {
      const report = await engine.copyIn({ from: { kind: 'path', path: `${folder}/${from}` }, to });
      expect(report).toMatchObject({ way, problems: [] });
      expect(readFileSync(join(host.path('v'), there), 'utf8')).toBe('a');
      expect(readFileSync(join(host.path('v'), 'dir/old'), 'utf8')).toBe('old');
    });

    test.each([
      {
        what: 'a file into a directory that is not there',
        from: 'src/a',
        to: place('new', '/'),
        code: 'not-found',
      },
      { what: 'a directory over a file', from: 'src', to: place('file'), code: 'conflict' },
      { what: 'a file into a file', from: 'src/a', to: place('file', '/'), code: 'usage' },
      { what: 'a source that is not there', from: 'none', to: place('dir'), code: 'not-found' },
      { what: 'a file as a directory', from: 'src/a/', to: place('dir'), code: 'usage' },
      {
        what: 'into a directory whose parent is not there',
        from: 'src/a',
        to: place('x/y'),
        code: 'not-found',
      },
    ])('refuses $what', async ({ from, to, code }) => {
      const run = engine.copyIn({ from: { kind: 'path', path: `${folder}/${from}` }, to });
      await expect(run).rejects.toMatchObject({ name: 'AppError', code });
      expect(namesIn(host.path('v'))).toEqual(['dir', 'file']);
    });

    test.each([
      { what: 'a file to a new name', from: place('file'), to: 'out', there: 'out' },
      { what: 'a file into a directory', from: place('file'), to: 'src', there: 'src/file' },
      { what: 'a directory to a new name', from: place('dir'), to: 'out', there: 'out/old' },
      { what: 'a directory into a directory', from: place('dir'), to: 'src', there: 'src/dir/old' },
      { what: 'what is in a directory', from: place('dir', '/.'), to: 'src', there: 'src/old' },
      { what: 'the whole volume', from: place(''), to: 'out', there: 'out/dir/old' },
    ])('copies $what out', async ({ from, to, there }) => {
      await engine.copyOut({ from, to: local(to) });
      expect(readFileSync(join(folder, there), 'utf8')).toBe(there.endsWith('old') ? 'old' : 'file');
      expect(readFileSync(join(folder, 'src/sub/b'), 'utf8')).toBe('b');
    });

    test('speaks tar on both sides', async () => {
      const tar = execFileSync('tar', ['-C', join(folder, 'src'), '-cf', '-', '.']);
      const stream = (async function* () {
        yield tar;
      })();
      await engine.copyIn({ from: { kind: 'stream', tar: stream }, to: place('dir') });
      expect(readFileSync(join(host.path('v'), 'dir/sub/b'), 'utf8')).toBe('b');
      const chunks: Uint8Array[] = [];
      const write = async (chunk: Uint8Array) => void chunks.push(chunk);
      await engine.copyOut({ from: place('dir'), to: { kind: 'stream', write } });
      const list = execFileSync('tar', ['-tf', '-'], { input: Buffer.concat(chunks), encoding: 'utf8' });
      expect(list.trim().split('\n').sort()).toEqual(['dir/', 'dir/a', 'dir/old', 'dir/sub/', 'dir/sub/b']);
    });

    test('never leaves the volume by a symbolic link in it', async () => {
      symlinkSync(folder, join(host.path('v'), 'out'));
      symlinkSync('../../src', join(host.path('v'), 'up'));
      writeFileSync(join(folder, 'secret'), 'secret');
      for (const path of ['out/secret', 'up/a', 'up/sub/b']) {
        await expect(engine.copyOut({ from: place(path), to: local('stolen') })).rejects.toMatchObject({
          name: 'AppError',
        });
        await expect(engine.copyIn({ from: local('src/a'), to: place(path) })).rejects.toMatchObject({
          name: 'AppError',
        });
      }
      for (const path of ['out', 'up']) {
        const followed = engine.copyOut({ from: place(path), to: local('stolen'), followLink: true });
        await expect(followed).rejects.toMatchObject({ code: 'denied' });
        await expect(engine.browse(place(path))).rejects.toMatchObject({ code: 'denied' });
      }
      expect(existsSync(join(folder, 'stolen'))).toBe(false);
      expect(readFileSync(join(folder, 'secret'), 'utf8')).toBe('secret');
    });

    test('does not write through a link of this machine that is in the target directory', async () => {
      mkdirSync(join(folder, 'out'));
      writeFileSync(join(folder, 'elsewhere'), 'untouched');
      symlinkSync(join(folder, 'elsewhere'), join(folder, 'out/file'));
      await engine.copyOut({ from: place('', '/.'), to: local('out') });
      expect(readFileSync(join(folder, 'elsewhere'), 'utf8')).toBe('untouched');
      expect(readFileSync(join(folder, 'out/file'), 'utf8')).toBe('file');
    });
  });

  describe('browse() and readFile()', () => {
    test('show what is there, through links that stay inside', async () => {
      const root = await create('v', { 'v1/data': 'content', 'v1/sub/deep': '', z: '' });
      symlinkSync('v1', join(root, 'current'));
      symlinkSync('current/data', join(root, 'link'));
      const top = await engine.browse({ volume: 'v', path: '' });
      expect(top.entries.map(({ name, type }) => [name, type])).toEqual([
        ['current', 'symlink'],
        ['link', 'symlink'],
        ['v1', 'dir'],
        ['z', 'file'],
      ]);
      const inside = await engine.browse({ volume: 'v', path: 'current' });
      expect(inside).toMatchObject({ path: 'v1', type: 'dir', problems: [] });
      expect(inside.entries.map(({ name, size }) => [name, size])).toEqual([
        ['data', 7],
        ['sub', 0],
      ]);
      const one = await engine.browse({ volume: 'v', path: 'v1/data' });
      expect(one).toMatchObject({ path: 'v1/data', type: 'file', entries: [{ name: 'data', size: 7 }] });
      await expect(engine.browse({ volume: 'v', path: 'nothing' })).rejects.toMatchObject({
        code: 'not-found',
      });
    });

    test('readFile() gives a file’s bytes, holes included, and nothing else', async () => {
      const root = await create('v', { 'd/a': 'content' });
      writeFileSync(join(root, 'sparse'), '');
      truncateSync(join(root, 'sparse'), 300_000);
      writeFileSync(join(root, 'sparse'), 'end', { flag: 'a' });
      expect((await read('d/a')).toString()).toBe('content');
      expect((await read('sparse')).equals(readFileSync(join(root, 'sparse')))).toBe(true);
      await expect(read('d')).rejects.toMatchObject({ code: 'usage' });
      await expect(read('none')).rejects.toMatchObject({ code: 'not-found' });
    });

    async function read(path: string): Promise<Buffer> {
      const chunks: Uint8Array[] = [];
      for await (const chunk of engine.readFile({ volume: 'v', path })) chunks.push(chunk);
      return Buffer.concat(chunks);
    }
  });
});

describe('import() directly', () => {
  beforeEach(() => {
    host = openDirectoryHost(folder, 'direct');
    engine = openEngine({ host });
  });

  test('clears what a killed import left, and refuses while another one runs', async () => {
    const to = await create('to');
    mkdirSync(join(to, '.holdfast-stage-0123456789abcdef/half'), { recursive: true });
    await create('from', { a: 'a' });
    await engine.export({ volume: 'from', to: local('a.tar') });
    const { promise: blocked, resolve: release } = Promise.withResolvers<void>();
    const never = (async function* () {
      yield readFileSync(join(folder, 'a.tar')).subarray(0, 600);
      await blocked;
    })();
    const first = engine.import({ volume: 'to', from: { kind: 'stream', bytes: never } });
    await expect
      .poll(() => namesIn(to).some((name) => name.startsWith('.holdfast-stage-') && !name.endsWith('cdef')))
      .toBe(true);
    await expect(engine.import({ volume: 'to', from: local('a.tar') })).rejects.toMatchObject({
      code: 'locked',
    });
    release();
    await expect(first).rejects.toMatchObject({ code: 'integrity' });
    expect(namesIn(to)).toEqual([]);
    await engine.import({ volume: 'to', from: local('a.tar') });
    expect(namesIn(to)).toEqual(['a']);
  });

  test('brings a killed import to its end that was being moved into place', async () => {
    const to = await create('to', { first: '1', '.holdfast-ready-0123456789abcdef/second': '2' });
    await create('from', { a: 'a' });
    await engine.export({ volume: 'from', to: local('a.tar') });
    await expect(engine.import({ volume: 'to', from: local('a.tar') })).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(namesIn(to)).toEqual(['first', 'second']);
  });

  test('takes nothing from an archive that writes through its own link', async () => {
    const evil = join(folder, 'evil');
    mkdirSync(join(evil, 'a'), { recursive: true });
    writeFileSync(join(evil, 'a/passwd'), 'evil');
    symlinkSync(folder, join(evil, 'link'));
    const archive = join(folder, 'evil.tar');
    execFileSync('tar', ['-C', evil, '-cf', archive, 'link', '--transform=s,^a/,link/,', 'a/passwd']);
    const to = await create('to');
    await expect(engine.import({ volume: 'to', from: local('evil.tar') })).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(namesIn(to)).toEqual([]);
    expect(existsSync(join(folder, 'passwd'))).toBe(false);
  });

  test.skipIf(!isRoot)('leaves an empty volume empty when the disk is full', async () => {
    await create('from', { big: 'x'.repeat(3_000_000) });
    await engine.export({ volume: 'from', to: local('a.tar') });
    const to = await create('to');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', to]);
    try {
      await expect(engine.import({ volume: 'to', from: local('a.tar') })).rejects.toMatchObject({
        code: 'full',
      });
      expect(namesIn(to)).toEqual([]);
    } finally {
      execFileSync('umount', [to]);
    }
  });

  test('refuses to export a volume into itself and to copy a directory into itself', async () => {
    await create('v', { 'd/a': 'a' });
    const inside = { kind: 'path', path: join(host.path('v'), 'a.tar') } as const;
    await expect(engine.export({ volume: 'v', to: inside })).rejects.toMatchObject({ code: 'usage' });
    const itself = { from: { kind: 'path', path: host.path('v') }, to: { volume: 'v', path: 'd' } } as const;
    await expect(engine.copyIn(itself)).rejects.toMatchObject({ code: 'usage' });
    const out = {
      from: { volume: 'v', path: '' },
      to: { kind: 'path', path: join(host.path('v'), 'd') },
    } as const;
    await expect(engine.copyOut(out)).rejects.toMatchObject({ code: 'usage' });
  });
});
