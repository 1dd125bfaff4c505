import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { describeTestVolume, initTestRepository } from '../support/repository-fixture.ts';
import { resticCommand } from '../support/restic-command.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dumps-'));
  return () => rmSync(folder, { recursive: true, force: true });
});

test('restic finds a dump beside the data, checks it, restores it, and keeps it when it prunes', async () => {
  const location = join(folder, 'repository');
  const source = join(folder, 'source');
  mkdirSync(source);
  writeFileSync(join(source, 'file'), 'data');
  const bytes = randomBytes(6_000_000);
  const name = 'postgresql.database.%c3%a9 "x".sql';
  {
    await using repository = await initTestRepository(location);
    const body = (async function* () {
      for (let at = 0; at < bytes.length; at += 50_000) yield bytes.subarray(at, at + 50_000);
    })();
    const dump = await repository.storeDump({ name, body });
    await repository.save({
      source: { kind: 'directory', root: source },
      dumps: [dump],
      volume: describeTestVolume('pg'),
      tags: [],
      hostname: 'test-host',
      timeMs: Date.now(),
      grade: 'app',
      excludePatterns: [],
    });
  }
  const restic = resticCommand(location);
  await restic.run('check', '--read-data');
  expect(
    (await restic.run('ls', 'latest')).split('\n').filter((line) => line.startsWith('/volume/')),
  ).toEqual([
    '/volume/pg',
    '/volume/pg/file',
    '/volume/pg.dump',
    `/volume/pg.dump/${name}`,
    '/volume/pg.holdfast.json',
  ]);
  await restic.run('prune', '--max-unused', '0');
  const target = join(folder, 'restored');
  await restic.run('restore', 'latest', '--target', target, '--include', '/volume/pg.dump');
  const restored = readFileSync(join(target, 'volume/pg.dump', name));
  expect(createHash('sha256').update(restored).digest('hex')).toBe(
    createHash('sha256').update(bytes).digest('hex'),
  );
});
