import { mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { App } from '../../src/app/app.ts';
import { openApp } from '../../src/app.ts';
import { DirectoryHandle } from '../../src/lib/directory-handle.ts';
import { removeTree } from '../../src/lib/remove-tree.ts';
import { readTar } from '../../src/lib/tar/read-tar.ts';
import { resticCommand, resticPassword } from '../support/restic-command.ts';

/** One system call takes a path of at most 4,095 bytes. Existing entries may lie deeper. */

const names = Array.from({ length: 30 }, (_, depth) => `${depth}`.padStart(180, 'd'));
const deep = names.join('/');

let folder: string;
let data: string;
let app: App;
let id: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'long-paths-'));
  data = join(folder, 'data');
  mkdirSync(data);
  writeFileSync(join(data, 'short'), 'short');
  using opened = new DisposableStack();
  let place = opened.use(DirectoryHandle.open(data));
  for (const name of names) {
    mkdirSync(place.at(name));
    place = opened.use(place.openChild(name));
  }
  writeFileSync(place.at('file'), 'deep');
  symlinkSync('file', place.at('link'));
  app = openApp({
    ...{ stateDir: join(folder, 'state'), repository: join(folder, 'repository') },
    ...{ host: 'embedded', dataWay: 'auto', passwordReference: 'env:RESTIC_PASSWORD' },
    env: { ...process.env, RESTIC_PASSWORD: resticPassword },
  });
  await app.recoverAtStart('host');
  await app.repositories.init();
  id = await save();
});
afterEach(async () => {
  await app[Symbol.asyncDispose]();
  await removeTree(folder);
});

async function save(): Promise<string> {
  const { outcomes } = await app.backup.run({ targets: [data], all: false, stacks: [], dryRun: false });
  const [outcome] = outcomes;
  expect(outcome).toMatchObject({ outcome: 'good', problems: [] });
  return outcome?.snapshot?.id ?? '';
}

async function restore(more: { to?: string; path?: string } = {}): Promise<void> {
  const request = { what: id, to: undefined, path: undefined, safetySnapshot: true, ...more };
  const report = await app.restore.apply(await app.restore.plan(request));
  expect(report.problems).toEqual([]);
}

function read(root: string, below: readonly string[] = names): string {
  using top = DirectoryHandle.open(root);
  using bottom = top.openBelow(below);
  return readFileSync(bottom.at('link'), 'utf8');
}

function change(text: string): void {
  using top = DirectoryHandle.open(data);
  using bottom = top.openBelow(names);
  writeFileSync(bottom.at('file'), text);
  writeFileSync(join(data, 'short'), text);
}

test('are restored in place, alone, elsewhere and by an undo, and the kept data is removed', async () => {
  change('changed');
  await restore();
  expect([read(data), readFileSync(join(data, 'short'), 'utf8')]).toEqual(['deep', 'short']);
  await app.restore.applyUndo(await app.restore.planUndo({ what: data }));
  expect(read(data)).toBe('changed');
  await app.restore.dropUndo({ what: data });
  await restore({ path: `${deep}/file` });
  expect([read(data), readFileSync(join(data, 'short'), 'utf8')]).toEqual(['deep', 'changed']);
  await restore({ path: names.slice(0, 25).join('/') });
  expect(read(data)).toBe('deep');
  const to = join(folder, 'elsewhere');
  await restore({ to });
  expect(read(to)).toBe('deep');
  await restore({ to: `${to}-part`, path: names.slice(0, 27).join('/') });
  expect(read(`${to}-part`, names.slice(26))).toBe('deep');
});

test('with folders on the way that are gone', async () => {
  await removeTree(join(data, names[0] ?? ''));
  await restore({ path: deep });
  expect(read(data)).toBe('deep');
});

test('are in a dump, and a restore of another machine with restic can read them', async () => {
  const found: string[] = [];
  for await (const { entry } of readTar(app.snapshots.dump({ snapshot: id, path: '' })))
    found.push(entry.path);
  expect(found).toContain(`${deep}/file`);
  const restic = resticCommand(join(folder, 'repository'));
  expect(await restic.run('ls', id)).toContain(`${deep}/file`);
  expect(await restic.run('check', '--read-data')).toContain('no errors were found');
});
