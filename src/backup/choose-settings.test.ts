import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { memoryContainers, type MemoryContainers } from '../../test/fixtures/containers.ts';
import type { Host } from '../hosts/host.ts';
import type { BackupTarget } from '../volumes/targets.ts';
import { chooseAllSettings, type BackupSettings, type SettingsRequest } from './choose-settings.ts';
import { someVolume } from '../../test/fixtures/some-volume.ts';

let containers: MemoryContainers;
let folder: string;
let notes: string[];
beforeEach(() => {
  containers = memoryContainers();
  folder = mkdtempSync(join(tmpdir(), 'holdfast-treatment-'));
  notes = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const blank = someVolume('pg', { stack: 'shop' });

const defaults = {
  from: '"defaults" in "holdfast.yaml"',
  settings: { consistency: 'pause', excludes: ['*.tmp'], tags: ['usual'], dump: true, preset: 'redis' },
} as const;

async function treat(labels: Record<string, string>, request: SettingsRequest): Promise<BackupSettings> {
  const info = { kind: 'docker', identity: 'e', name: 'e', version: '0', endpoint: 'memory' } as const;
  const target: BackupTarget = { kind: 'volume', name: 'pg', volume: { ...blank, labels }, host: info };
  const host: Pick<Host, 'containers'> = { containers };
  const all = await chooseAllSettings(
    { host: async () => host as Host },
    { targets: [target], request },
    { onNote: (note) => notes.push(note) },
  );
  const found = all.get(target);
  if (found === undefined) throw new Error('It is not treated');
  return found;
}

function fromOf({ said }: BackupSettings): Record<string, string> {
  return Object.fromEntries(said.map(({ name, from }) => [name, from]));
}

function use(labels: Record<string, string>): void {
  const mounts = [{ type: 'volume', source: 'pg', destination: '/data', readOnly: false } as const];
  containers.add({ name: 'db', stack: 'shop', service: 'db', mounts, labels });
}

describe('chooseTreatments()', () => {
  test('uses the defaults where nothing else is set', async () => {
    const found = await treat({}, { base: defaults });
    expect(found).toMatchObject({
      consistency: 'pause',
      consistencyBy: 'base',
      excludes: ['*.tmp'],
      tags: ['usual'],
      applications: { dump: true, preset: 'redis', consistency: undefined },
    });
    expect(found.isExcluded('a.tmp', false)).toBe(true);
    expect(new Set(Object.values(fromOf(found)))).toEqual(new Set([defaults.from]));
  });

  test('uses labels of the volume before those of its containers, and both before defaults', async () => {
    use({ 'holdfast.exclude': 'cache', 'holdfast.consistency': 'stop', 'holdfast.dump': 'no' });
    const found = await treat({ 'holdfast.exclude': 'logs, *.old' }, { base: defaults });
    expect(found).toMatchObject({
      consistency: 'stop',
      consistencyBy: 'own',
      excludes: ['logs', '*.old'],
      tags: ['usual'],
      applications: { dump: false, preset: 'redis', consistency: 'stop' },
    });
    expect(fromOf(found)).toEqual({
      consistency: 'a label of the container "db"',
      preset: defaults.from,
      dump: 'a label of the container "db"',
      exclude: 'a label of the volume',
      tags: defaults.from,
    });
  });

  test('uses the command line before all labels, empty values included', async () => {
    use({ 'holdfast.tags': 'theirs', 'holdfast.preset': 'postgresql' });
    const given = { excludes: ['mine'], consistency: 'auto', tags: [], preset: 'none' } as const;
    const labels = { 'holdfast.exclude': 'logs', 'holdfast.consistency': 'stop' };
    const found = await treat(labels, { given, base: defaults, mustDump: true });
    expect(found).toMatchObject({
      consistency: 'auto',
      consistencyBy: 'given',
      excludes: ['mine'],
      tags: [],
      applications: { dump: true, mustDump: true, preset: 'none', consistency: 'auto' },
    });
    expect(fromOf(found)).toMatchObject({ exclude: 'the command line', dump: defaults.from });
  });

  test('uses "x-holdfast" of the service and of the stack after labels, and before defaults', async () => {
    const file = join(folder, 'compose.yaml');
    writeFileSync(
      file,
      'x-holdfast: { consistency: live, tags: [stack] }\nservices:\n  db:\n    x-holdfast: { consistency: two-pass, exclude: [wal], hooks: { before: [{ in: db, command: [sync] }] } }\n',
    );
    use({ 'com.docker.compose.project.config_files': file, 'holdfast.exclude': 'cache' });
    const found = await treat({}, { base: defaults });
    expect(found).toMatchObject({ consistency: 'two-pass', excludes: ['cache'], tags: ['stack'] });
    expect(found.applications.hooks).toMatchObject([{ moment: 'before', command: ['sync'] }]);
    expect(fromOf(found)).toMatchObject({
      consistency: '"x-holdfast" of the service "db"',
      hooks: '"x-holdfast" of the service "db"',
      tags: '"x-holdfast" of the stack "shop"',
      exclude: 'a label of the container "db"',
    });
  });

  test('reports an invalid label, and uses the next weaker setting', async () => {
    use({ 'holdfast.consistency': 'stop', 'holdfast.volumes': 'others' });
    const found = await treat({ 'holdfast.consistency': 'frozen' }, { base: defaults });
    // The container labels other volumes only.
    expect(found).toMatchObject({ consistency: 'pause', consistencyBy: 'base' });
    expect(notes).toEqual([
      expect.stringMatching(/^The label "holdfast.consistency" of "pg" is not understood/),
    ]);
    use({ 'holdfast.consistency': 'stop' });
    expect((await treat({ 'holdfast.consistency': 'frozen' }, {})).consistency).toBe('stop');
  });

  test('asks no engine about directories', async () => {
    const target: BackupTarget = { kind: 'path', name: '/etc' };
    const host = async (): Promise<never> => {
      throw new Error('It was asked');
    };
    const all = await chooseAllSettings({ host }, { targets: [target], request: { base: defaults } }, {});
    expect(all.get(target)).toMatchObject({ excludes: ['*.tmp'], consistency: 'pause' });
  });
});

test('the time limit comes from the command line, then labels, then a policy or the defaults', async () => {
  const base = { from: 'the policy "nightly"', settings: { maxStillMs: 5000, stillTries: 2 } };
  expect(await treat({}, { base })).toMatchObject({ maxStillMs: 5000, stillTries: 2 });
  const labelled = await treat({ 'holdfast.max-still': 'unlimited' }, { base });
  expect(labelled).toMatchObject({ maxStillMs: Infinity, stillTries: 2 });
  expect(labelled.said).toContainEqual(expect.objectContaining({ name: 'max-still', value: 'unlimited' }));
  const given = await treat({ 'holdfast.max-still': '3s' }, { base, given: { maxStillMs: 500 } });
  expect(given.maxStillMs).toBe(500);
  expect(await treat({}, {})).toMatchObject({ maxStillMs: undefined, stillTries: undefined });
  await treat({ 'holdfast.max-still': 'soon' }, {});
  expect(notes.join('\n')).toContain('holdfast.max-still');
});
