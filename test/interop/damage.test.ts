import { randomBytes } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import type { CheckReport } from '../../src/repository/index.ts';
import { initTestRepository, openTestRepository, saveDirectory } from '../support/repository-fixture.ts';
import { resticCommand } from '../support/restic-command.ts';

let folder: string;
let location: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'damage-'));
  location = join(folder, 'repository');
  const source = join(folder, 'source');
  mkdirSync(join(source, 'docs'), { recursive: true });
  writeFileSync(join(source, 'docs/report'), randomBytes(700_000));
  writeFileSync(join(source, 'docs/notes'), 'words '.repeat(10_000));
  await using repository = await initTestRepository(location);
  await saveDirectory(repository, source, { parent: undefined });
  return () => rmSync(folder, { recursive: true, force: true });
});

/** The files of a kind, the largest first. */
function filesOf(type: string): string[] {
  const root = join(location, type);
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .map((name) => join(root, name))
    .filter((path) => statSync(path).isFile())
    .toSorted((a, b) => statSync(b).size - statSync(a).size);
}

function first(type: string): string {
  const [path] = filesOf(type);
  if (path === undefined) throw new Error(`There is no file of "${type}"`);
  return path;
}

function flipBit(path: string, place: number): void {
  const bytes = readFileSync(path);
  const at = place < 0 ? bytes.length + place : place;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(path, bytes);
}

async function ownReport(): Promise<Pick<CheckReport, 'errors' | 'damagedSnapshots'>> {
  await using repository = await openTestRepository(location);
  return await repository.check({ readDataPercent: 100 });
}

test.each([
  ['a pack that is missing', () => rmSync(first('data'))],
  ['the pack of the trees, missing', () => rmSync(filesOf('data').at(-1) ?? '')],
  ['a pack that is cut short', () => truncateSync(first('data'), 1000)],
  ['a flipped bit in the data of a pack', () => flipBit(first('data'), 300_000)],
  ['a flipped bit in the header of a pack', () => flipBit(first('data'), -20)],
  ['a flipped bit in an index', () => flipBit(first('index'), 100)],
  ['an index that is missing', () => rmSync(first('index'))],
  ['a flipped bit in a snapshot', () => flipBit(first('snapshots'), 100)],
] as const)('%s is found by both', async (_what, damage) => {
  expect((await resticCommand(location).attempt('check', '--read-data')).exitCode).toBe(0);
  expect((await ownReport()).errors).toEqual([]);
  damage();
  const report = await ownReport();
  expect(report.errors).not.toEqual([]);
  expect(report.damagedSnapshots).toHaveLength(1);
  expect((await resticCommand(location).attempt('check', '--read-data')).exitCode).not.toBe(0);
});

test.each([
  ['the config', () => flipBit(join(location, 'config'), 50), 'integrity'],
  ['the only key', () => flipBit(first('keys'), 200), 'integrity'],
] as const)('neither opens a repository with a flipped bit in %s', async (_what, damage, code) => {
  damage();
  await expect(openTestRepository(location)).rejects.toMatchObject({ code });
  expect((await resticCommand(location).attempt('snapshots')).exitCode).not.toBe(0);
});
