import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { Cli } from './cli.ts';

interface Report {
  readonly isProof: boolean;
  readonly volumes: {
    readonly name: string;
    readonly bytesRead: number;
    readonly errors: string[];
    readonly snapshots: { readonly id: string; readonly isWhole: boolean }[];
  }[];
  readonly unreadable: string[];
}

let cli: Cli;
beforeEach(async () => {
  cli = new Cli();
  await cli.init();
  for (const name of ['one', 'two']) {
    await cli.run('volume', 'create', name);
    writeFileSync(join(cli.stateDir, 'volumes', name, '_data/file'), randomBytes(300_000));
    await cli.run('backup', name);
  }
  return () => cli[Symbol.dispose]();
});

async function verify(...args: string[]): Promise<{ exit: number; report: Report; stderr: string }> {
  const { exit, stdout, stderr } = await cli.attempt(['verify', ...args, '--format', 'json']);
  return { exit, report: JSON.parse(stdout) as Report, stderr };
}

/** The stored packs: the large ones with the volumes' data, in order of creation. */
function dataPacks(): string[] {
  const folder = join(cli.repository, 'data');
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).size > 250_000 && statSync(path).isFile())
    .toSorted((a, b) => statSync(a).mtimeMs - statSync(b).mtimeMs);
}

test('verify reads what the newest snapshots need, and forget keeps verified ones', async () => {
  const first = (await verify('one', '--read-data')).report;
  expect(first).toMatchObject({ isProof: true, volumes: [{ name: 'one', errors: [] }] });
  expect(first.volumes[0]?.bytesRead).toBeGreaterThan(300_000);
  expect(first.volumes[0]?.bytesRead).toBeLessThan(400_000);
  await cli.run('backup', 'one');
  await cli.run('backup', 'one');
  const forget = await cli.run('forget', 'one', '--keep-last', '1', '--dry-run');
  const [, ...lines] = forget.trim().split('\n');
  const changeOf = (id: string): string | undefined => lines.find((line) => line.includes(id.slice(0, 8)));
  expect(changeOf(first.volumes[0]?.snapshots[0]?.id ?? '?')).toMatch(/^stays/);
  expect(lines.filter((line) => line.startsWith('goes'))).toHaveLength(1);
});

test('a damaged snapshot is named with exit number 6, and the others stay whole', async () => {
  const [pack = ''] = dataPacks();
  const bytes = readFileSync(pack);
  bytes.writeUInt8(bytes.readUInt8(1000) ^ 1, 1000);
  writeFileSync(pack, bytes);
  expect((await verify('--all')).exit).toBe(0);
  const { exit, report, stderr } = await verify('--all', '--read-data');
  expect(exit).toBe(6);
  expect(stderr).toContain('A snapshot is damaged');
  expect(stderr).toContain('"/volume/one/');
  expect(report.volumes).toMatchObject([
    { name: 'two', errors: [], snapshots: [{ isWhole: true }] },
    { name: 'one', snapshots: [{ isWhole: false }] },
  ]);
  expect((await verify('two', '--read-data')).exit).toBe(0);
  rmSync(pack);
  expect((await verify('one')).exit).toBe(6);
});

test('a verified snapshot that is damaged later no longer counts as verified', async () => {
  const { report } = await verify('one', '--read-data');
  const [pack = ''] = dataPacks();
  rmSync(pack);
  expect((await verify('one')).exit).toBe(6);
  await cli.run('backup', 'one');
  await cli.run('backup', 'one');
  const forget = await cli.run('forget', 'one', '--keep-last', '1', '--dry-run');
  const id = report.volumes[0]?.snapshots[0]?.id.slice(0, 8) ?? '?';
  expect(forget.split('\n').find((line) => line.includes(id))).toMatch(/^goes/);
});

test('an unreadable record is reported with --all', async () => {
  const folder = join(cli.repository, 'snapshots');
  const [name = ''] = readdirSync(folder);
  writeFileSync(join(folder, name), 'damaged');
  const { exit, report } = await verify('--all');
  expect(exit).toBe(6);
  expect(report.unreadable).toEqual([name]);
});

test('a repository without backups is no proof of anything', async () => {
  const bare = new Cli();
  try {
    await bare.init();
    const { exit, stderr } = await bare.attempt(['verify', '--all']);
    expect({ exit, stderr }).toEqual({
      exit: 4,
      stderr: expect.stringContaining('There is nothing to verify'),
    });
  } finally {
    bare[Symbol.dispose]();
  }
});

test('wrong settings are usage errors', async () => {
  expect((await cli.attempt(['verify'])).exit).toBe(2);
  expect((await cli.attempt(['verify', '--all', '--last', '0'])).exit).toBe(2);
  expect((await cli.attempt(['verify', '--all', '--read-data=0'])).exit).toBe(2);
  expect((await cli.attempt(['verify', 'nobody'])).exit).toBe(4);
});
