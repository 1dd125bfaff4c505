import { existsSync, mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fromText, toText } from '../model/byte-string.ts';
import { useEngine } from '../../test/fixtures/engine-under-test.ts';
import { fillEmpty, lockVolume } from './stage.ts';
import { WorkLog } from './work-log.ts';

const t = useEngine('direct');

/** Fills a new volume with one file, and runs `meanwhile` in between. */
async function fillWhile(name: string, meanwhile: (folder: string, stage: string) => void): Promise<void> {
  const folder = await t.create(name);
  using volume = lockVolume(fromText(folder), { action: 'import into', name });
  const fill = async (at: string): Promise<undefined> => {
    writeFileSync(join(toText(at), 'file'), 'whole');
    meanwhile(folder, join(folder, readdirSync(folder)[0] ?? ''));
  };
  await fillEmpty(volume, fill, new WorkLog({}));
}

test('fillEmpty() moves nothing up, and removes what it made, when another folder has taken the name of its stage', async () => {
  const victim = join(t.folder, 'victim');
  mkdirSync(victim);
  writeFileSync(join(victim, 'file'), 'secret');
  const swapped = fillWhile('linked', (_folder, stage) => {
    renameSync(stage, join(t.folder, 'away'));
    symlinkSync(victim, stage);
  });
  await expect(swapped).rejects.toMatchObject({ code: 'conflict' });
  expect(readdirSync(t.host.path('linked')).filter((name) => !name.startsWith('.holdfast-'))).toEqual([]);
  const decoy = fillWhile('decoy', (_folder, stage) => {
    renameSync(stage, join(t.folder, 'also-away'));
    mkdirSync(stage);
    writeFileSync(join(stage, 'other'), 'theirs');
  });
  await expect(decoy).rejects.toMatchObject({ code: 'conflict' });
  const [left = ''] = readdirSync(t.host.path('decoy'));
  expect(readdirSync(join(t.host.path('decoy'), left))).toEqual(['other']);
  // What was made is removed, wherever it was moved.
  expect(['away', 'also-away'].map((name) => readdirSync(join(t.folder, name)))).toEqual([[], []]);
  expect(readdirSync(victim)).toEqual(['file']);
});

test('fillEmpty() fails, and writes nowhere else, when the folder of the volume is moved', async () => {
  const victim = join(t.folder, 'victim');
  mkdirSync(victim);
  const swapped = fillWhile('moved', (folder) => {
    renameSync(folder, `${folder}.away`);
    symlinkSync(victim, folder);
  });
  await expect(swapped).rejects.toMatchObject({ code: 'conflict' });
  expect(readdirSync(victim)).toEqual([]);
  expect(readdirSync(`${t.host.path('moved')}.away`)).toEqual([]);
});

test('an import into a volume whose folder is replaced meanwhile fails', async () => {
  const from = await t.create('from', { file: 'whole' });
  const to = await t.create('to', { kept: 'kept' });
  await t.engine.export({ volume: 'from', to: t.local('a.tar') });
  const onProgress = (): void => {
    if (existsSync(`${to}.away`)) return;
    renameSync(to, `${to}.away`);
    mkdirSync(to);
  };
  const merged = t.engine.import({ volume: 'to', from: t.local('a.tar'), merge: true }, { onProgress });
  await expect(merged).rejects.toMatchObject({ code: 'conflict' });
  renameSync(`${to}.away`, join(to, 'was'));
  const copied = t.engine.copyIn(
    { from: t.local('volumes/from/.'), to: { volume: 'to', path: '' } },
    { onProgress },
  );
  await expect(copied).rejects.toMatchObject({ code: 'conflict' });
  expect([readdirSync(from), readdirSync(to)]).toEqual([['file'], []]);
});
