import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { quoteName } from '../../src/repository/format/go-text.ts';
import {
  initTestRepository,
  newestSnapshot,
  openTestRepository,
  saveDirectory,
} from '../support/repository-fixture.ts';
import { resticCommand } from '../support/restic-command.ts';

let folder: string;
let source: string;
let location: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'names-'));
  source = join(folder, 'source');
  location = join(folder, 'repository');
  mkdirSync(source);
  return () => rmSync(folder, { recursive: true, force: true });
});

/** Every byte that a name can have, alone and beside others, and text of all kinds. */
function hardNames(): Buffer[] {
  const names: Buffer[] = [];
  for (let byte = 1; byte < 256; byte++) {
    if (byte === 0x2f) continue;
    names.push(Buffer.from([0x6e, byte]), Buffer.from([0x70, byte, 0x61, byte]));
  }
  const points = [
    0x80, 0x85, 0xa0, 0xad, 0xe9, 0x378, 0x600, 0x200b, 0x2028, 0x2029, 0x202e, 0x3000, 0xe000, 0xfeff,
    0xfffd, 0xffff, 0x10000, 0x1f600, 0xe0001, 0x10fffd, 0x10ffff,
  ];
  for (const point of points) names.push(Buffer.from(`t${String.fromCodePoint(point)}`));
  for (const text of [
    'quote"',
    "single'",
    'back\\slash',
    String.raw`\x41\u0041\n`,
    '<&>',
    ' blank ',
    '..x',
    '-rf',
    '%',
    '{"nodes":[{"name":"x"}]}',
  ])
    names.push(Buffer.from(text));
  for (const hex of ['c080', 'eda080', 'e282', 'e28261', 'f0908080', 'f4908080', 'f8888080', 'c3a9c3'])
    names.push(Buffer.from(`62${hex}`, 'hex'));
  return names;
}

interface ResticNode {
  readonly name: string;
  readonly linktarget?: string;
  readonly linktarget_raw?: string;
}

/** The text of the newest snapshot's tree, as stored. */
async function treeText(path: string): Promise<string> {
  const restic = resticCommand(location);
  const [snapshot] = JSON.parse(await restic.run('snapshots', '--json', 'latest')) as { short_id: string }[];
  return await restic.run('cat', 'tree', `${snapshot?.short_id}:${path}`);
}

test('every name is quoted as restic quotes it, and restic’s quoting is read back', async () => {
  const names = hardNames();
  for (const name of names) writeFileSync(Buffer.concat([Buffer.from(`${source}/`), name]), '');
  const restic = resticCommand(location);
  await restic.run('init');
  await restic.run('backup', source);
  const { nodes } = JSON.parse(await treeText(source)) as { nodes: ResticNode[] };
  const quoted = names.map((name) => Buffer.from(quoteName(name.toString('latin1')), 'latin1').toString());
  expect(nodes.map(({ name }) => name).toSorted()).toEqual(quoted.toSorted());

  await using repository = await openTestRepository(location);
  const found: string[] = [];
  for await (const { path } of repository.walk(await newestSnapshot(repository), source.slice(1)))
    found.push(path);
  expect(found.slice(1).toSorted()).toEqual(names.map((name) => name.toString('latin1')).toSorted());
});

test('a directory of hard names and links is written byte for byte as restic writes it, but for the device', async () => {
  for (const name of hardNames()) writeFileSync(Buffer.concat([Buffer.from(`${source}/`), name]), '');
  symlinkSync(Buffer.from('to \xff\xfe <&> "quoted" \\', 'latin1'), join(source, 'link-bytes'));
  symlinkSync('to é\u2028 <&>', join(source, 'link-text'));
  await using repository = await initTestRepository(location);
  await saveDirectory(repository, source, { parent: undefined });
  const ours = await treeText('/volume/data');
  await resticCommand(location).run('backup', source);
  // The device of a file with one name is left out: it means nothing, and changes at a reboot.
  const theirs = (await treeText(source)).replaceAll(/"device_id":\d+,/g, '');
  expect(
    ours === theirs,
    ours.slice(firstDifference(ours, theirs) - 60).slice(0, 120) +
      '|||' +
      theirs.slice(firstDifference(ours, theirs) - 60).slice(0, 120),
  ).toBe(true);
});

function firstDifference(a: string, b: string): number {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  return at;
}
