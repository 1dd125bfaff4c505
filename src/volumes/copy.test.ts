import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { namesIn } from '../../test/fixtures/directory-host.ts';
import { useEngine } from '../../test/fixtures/engine-under-test.ts';

describe.each(['direct', 'stream'] as const)('copyIn() and copyOut() (%s)', (way) => {
  const t = useEngine(way);
  const place = (path: string, suffix: '' | '/' | '/.' = '') => ({ volume: 'v', path, suffix });

  beforeEach(async () => {
    await t.create('v', { 'dir/old': 'old', file: 'file' });
    mkdirSync(join(t.folder, 'src/sub'), { recursive: true });
    writeFileSync(join(t.folder, 'src/a'), 'a');
    writeFileSync(join(t.folder, 'src/sub/b'), 'b');
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
    const report = await t.engine.copyIn({ from: { kind: 'path', path: `${t.folder}/${from}` }, to });
    expect(report).toMatchObject({ way, problems: [] });
    expect(readFileSync(join(t.host.path('v'), there), 'utf8')).toBe('a');
    expect(readFileSync(join(t.host.path('v'), 'dir/old'), 'utf8')).toBe('old');
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
    const run = t.engine.copyIn({ from: { kind: 'path', path: `${t.folder}/${from}` }, to });
    await expect(run).rejects.toMatchObject({ name: 'AppError', code });
    expect(namesIn(t.host.path('v'))).toEqual(['dir', 'file']);
  });

  test.each([
    { what: 'a file to a new name', from: place('file'), to: 'out', there: 'out' },
    { what: 'a file into a directory', from: place('file'), to: 'src', there: 'src/file' },
    { what: 'a directory to a new name', from: place('dir'), to: 'out', there: 'out/old' },
    { what: 'a directory into a directory', from: place('dir'), to: 'src', there: 'src/dir/old' },
    { what: 'what is in a directory', from: place('dir', '/.'), to: 'src', there: 'src/old' },
    { what: 'the whole volume', from: place(''), to: 'out', there: 'out/dir/old' },
  ])('copies $what out', async ({ from, to, there }) => {
    await t.engine.copyOut({ from, to: t.local(to) });
    expect(readFileSync(join(t.folder, there), 'utf8')).toBe(there.endsWith('old') ? 'old' : 'file');
    expect(readFileSync(join(t.folder, 'src/sub/b'), 'utf8')).toBe('b');
  });

  test('speaks tar on both sides', async () => {
    const tar = execFileSync('tar', ['-C', join(t.folder, 'src'), '-cf', '-', '.']);
    const stream = (async function* () {
      yield tar;
    })();
    await t.engine.copyIn({ from: { kind: 'stream', tar: stream }, to: place('dir') });
    expect(readFileSync(join(t.host.path('v'), 'dir/sub/b'), 'utf8')).toBe('b');
    const chunks: Uint8Array[] = [];
    const write = async (chunk: Uint8Array) => void chunks.push(chunk);
    await t.engine.copyOut({ from: place('dir'), to: { kind: 'stream', write } });
    const list = execFileSync('tar', ['-tf', '-'], { input: Buffer.concat(chunks), encoding: 'utf8' });
    expect(list.trim().split('\n').sort()).toEqual(['dir/', 'dir/a', 'dir/old', 'dir/sub/', 'dir/sub/b']);
  });

  test('never leaves the volume through a symbolic link in it', async () => {
    symlinkSync(t.folder, join(t.host.path('v'), 'out'));
    symlinkSync('../../src', join(t.host.path('v'), 'up'));
    writeFileSync(join(t.folder, 'secret'), 'secret');
    for (const path of ['out/secret', 'up/a', 'up/sub/b']) {
      await expect(t.engine.copyOut({ from: place(path), to: t.local('stolen') })).rejects.toMatchObject({
        name: 'AppError',
      });
      await expect(t.engine.copyIn({ from: t.local('src/a'), to: place(path) })).rejects.toMatchObject({
        name: 'AppError',
      });
    }
    for (const path of ['out', 'up']) {
      const followed = t.engine.copyOut({ from: place(path), to: t.local('stolen'), followLink: true });
      await expect(followed).rejects.toMatchObject({ code: 'denied' });
      await expect(t.engine.browse(place(path))).rejects.toMatchObject({ code: 'denied' });
    }
    expect(existsSync(join(t.folder, 'stolen'))).toBe(false);
    expect(readFileSync(join(t.folder, 'secret'), 'utf8')).toBe('secret');
  });

  test('does not write through a link of this machine in the target directory', async () => {
    mkdirSync(join(t.folder, 'out'));
    writeFileSync(join(t.folder, 'elsewhere'), 'untouched');
    symlinkSync(join(t.folder, 'elsewhere'), join(t.folder, 'out/file'));
    await t.engine.copyOut({ from: place('', '/.'), to: t.local('out') });
    expect(readFileSync(join(t.folder, 'elsewhere'), 'utf8')).toBe('untouched');
    expect(readFileSync(join(t.folder, 'out/file'), 'utf8')).toBe('file');
  });
});
