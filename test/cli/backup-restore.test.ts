import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSqliteCatalog } from '../../src/catalog/sqlite-catalog.ts';
import { pathOf } from '../../src/restore/streamed-journal.ts';
import { makeHostileTree } from '../support/hostile-tree.ts';
import { treeFacts } from '../support/tree-facts.ts';
import { Cli } from './cli.ts';

let cli: Cli;
beforeEach(async () => {
  cli = new Cli();
  await cli.init();
});
afterEach(() => cli[Symbol.dispose]());

interface BackupJson {
  readonly outcomes: readonly {
    name: string;
    outcome: string;
    snapshotId: string | null;
    grade?: string;
    gradeReason?: string;
    summary: { filesUnmodified: number; files: number } | null;
  }[];
  readonly skipped: readonly { name: string }[];
}

describe('settings from other places for saving a volume', () => {
  interface SaidJson {
    readonly outcomes: readonly {
      readonly settings: readonly { readonly name: string; readonly from: string }[];
    }[];
  }

  test('goes for a backup by hand too: labels before "defaults", the command line before both', async () => {
    await cli.run('volume', 'create', 'app', '--label', 'holdfast.exclude=*.log, cache');
    for (const name of ['a.tmp', 'a.log', 'data']) writeFileSync(join(cli.root('app'), name), name);
    const file = join(cli.stateDir, 'holdfast.yaml');
    writeFileSync(file, "defaults: { exclude: ['*.tmp'], tags: [usual], consistency: stop }\n");
    const saved = async (): Promise<{ files: string; tags: string[] }> => {
      const files = await cli.run('ls', 'app');
      const [newest] = (await cli.json<{ tags: string[] }[]>('snapshots', 'app')).slice(-1);
      return { files: files.replaceAll(/\s+/g, ' '), tags: newest?.tags ?? [] };
    };
    const dry = await cli.run('backup', 'app', '--dry-run', '--tag', 'mine');
    expect(dry).toContain('exclude: *.log, cache, by a label of the volume\n');
    expect(dry).toContain('tags: mine, by the command line\n');
    expect(dry).toContain(`consistency: stop, by "defaults" in "${file}"\n`);
    await cli.run('backup', 'app');
    const labelled = await saved();
    expect(labelled.files).toContain('a.tmp');
    expect(labelled.files).not.toContain('a.log');
    expect(labelled.tags).toEqual(['usual']);
    await cli.run('backup', 'app', '--exclude', 'data', '--tag', 'mine');
    const given = await saved();
    expect(given.files).toContain('a.log');
    expect(given.files).not.toContain('data');
    expect(given.tags).toEqual(['mine']);
    await cli.run('volume', 'create', 'plain');
    writeFileSync(join(cli.root('plain'), 'a.tmp'), '');
    const { outcomes } = await cli.json<SaidJson>('backup', 'plain');
    expect(outcomes[0]?.settings).toContainEqual({
      name: 'exclude',
      value: ['*.tmp'],
      from: `"defaults" in "${file}"`,
    });
    expect(await cli.run('ls', 'plain')).not.toContain('a.tmp');
  });

  test('goes for directories as far as it is about all', async () => {
    const folder = join(cli.folder, 'etc');
    mkdirSync(folder);
    writeFileSync(join(folder, 'a.tmp'), '');
    writeFileSync(join(cli.stateDir, 'holdfast.yaml'), "defaults: { exclude: ['*.tmp'] }\n");
    expect(await cli.run('backup', folder, '--dry-run')).toContain('would save 0 files');
    expect(await cli.run('backup', folder, '--dry-run', '--exclude', 'other')).toContain('would save 1 file');
  });

  test('is reported where it is invalid, and stops nothing', async () => {
    await cli.run('volume', 'create', 'app', '--label', 'holdfast.consistency=frozen');
    const { exit, stderr } = await cli.attempt(['backup', 'app']);
    expect(exit).toBe(0);
    expect(stderr.match(/"holdfast.consistency"/g)).toHaveLength(1);
  });
});

describe('a stack', () => {
  const volumes = ['q_a', 'q_b', 'q_c'];

  function write(text: string): void {
    for (const name of volumes) writeFileSync(join(cli.root(name), 'data'), text);
  }

  function data(): string[] {
    return volumes.map((name) => readFileSync(join(cli.root(name), 'data'), 'utf8'));
  }

  beforeEach(async () => {
    for (const name of volumes)
      await cli.run('volume', 'create', name, '--label', 'com.docker.compose.project=q');
  });

  test('comes back from one moment, though one of its volumes was saved by itself since', async () => {
    write('first');
    await cli.run('backup', '--stack', 'q');
    write('second');
    await cli.run('backup', 'q_a');
    write('third');
    const plan = await cli.run('restore', '--stack', 'q', '--dry-run');
    expect(plan).toContain(
      'newer snapshots of single volumes, which belong to no moment of the whole stack: "q_a"',
    );
    await cli.run('restore', '--stack', 'q', '--yes');
    expect(data()).toEqual(['first', 'first', 'first']);
  });

  test('whose volumes were saved at different times comes back when a time is chosen', async () => {
    for (const name of volumes) {
      write(`when ${name} was saved`);
      await cli.run('backup', name);
    }
    write('newer');
    const refused = await cli.attempt(['restore', '--stack', 'q', '--yes']);
    expect(refused).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('No moment has all of the stack'),
    });
    expect(data()).toEqual(['newer', 'newer', 'newer']);
    const [, time] = /--stack q@(20[^ ]+)/.exec(refused.stderr) ?? [];
    await cli.run('restore', '--stack', `q@${time}`, '--yes');
    expect(data()).toEqual(volumes.map((name) => `when ${name} was saved`));
  });
});

describe('holdfast backup and restore', () => {
  test('bring a tree of everything back exactly after its volume was removed, labels included', async () => {
    await cli.run('volume', 'create', 'tree', '--label', 'com.docker.compose.project=shop', '--label', 'x=y');
    const root = cli.root('tree');
    await makeHostileTree(root, { socket: true });
    const before = treeFacts(root);
    await cli.run('backup', 'tree');
    await cli.run('volume', 'rm', 'tree');
    expect(existsSync(root)).toBe(false);
    await cli.run('restore', 'tree');
    expect(treeFacts(root)).toEqual(before);
    const [volume] = await cli.json<{ labels: object; stack: string }[]>('volume', 'inspect', 'tree');
    expect(volume).toMatchObject({ labels: { 'com.docker.compose.project': 'shop', x: 'y' }, stack: 'shop' });
    expect(await cli.run('diff', 'tree')).toBe('No differences.\n');
    await cli.run('check', '--read-data');
  });

  test('make a volume with devices and hooks of its snapshot only when asked to', async () => {
    const device = join(cli.root('tree'), '../../../chosen');
    mkdirSync(device, { recursive: true });
    const options = ['-o', 'type=none', '-o', 'o=bind', '-o', `device=${device}`];
    const labels = ['--label', 'holdfast.hook.before=touch /x', '--label', 'mine=yes'];
    await cli.run('volume', 'create', 'bound', ...options, ...labels);
    writeFileSync(join(device, 'authorized_keys'), 'mine');
    await cli.run('backup', 'bound');
    await cli.run('volume', 'rm', 'bound');
    rmSync(join(device, 'authorized_keys'), { force: true });
    const refused = await cli.attempt(['restore', 'bound', '--yes']);
    expect(refused).toMatchObject({ exit: 1, stderr: expect.stringContaining('--as-recorded') });
    expect(readdirSync(device)).toEqual([]);
    expect(await cli.run('restore', 'bound', '--dry-run')).toContain(`"device=${device}"`);
    expect(await cli.run('volume', 'ls', '-q')).toBe('');
    await cli.run('restore', 'bound', '--to', 'beside');
    const [beside] = await cli.json<{ labels: object }[]>('volume', 'inspect', 'beside');
    expect(beside?.labels).toEqual({ mine: 'yes' });
    await cli.run('restore', 'bound', '--as-recorded');
    expect(readFileSync(join(device, 'authorized_keys'), 'utf8')).toBe('mine');
    await cli.run('volume', 'rm', 'bound', '--permanent');
    await cli.run('trash', 'empty', '--yes');
  });

  test('mix with nothing that is on a device already, and say how to have it replaced', async () => {
    const device = join(cli.root('tree'), '../../../in-use');
    mkdirSync(device, { recursive: true });
    const make = ['-o', 'type=none', '-o', 'o=bind', '-o', `device=${device}`];
    await cli.run('volume', 'create', 'share', ...make);
    writeFileSync(join(device, 'saved'), 'saved');
    await cli.run('backup', 'share');
    await cli.run('volume', 'rm', 'share', '--permanent');
    writeFileSync(join(device, 'later'), 'later');
    const refused = await cli.attempt(['restore', 'share', '--as-recorded']);
    expect(refused).toMatchObject({ exit: 1, stderr: expect.stringContaining('holds data') });
    expect(refused.stderr).toContain('make the volume with "holdfast volume create" and restore into it');
    expect(readdirSync(device).toSorted()).toEqual(['later', 'saved']);
    await cli.run('volume', 'create', 'share', ...make);
    await cli.run('restore', 'share', '--yes');
    expect(readdirSync(device)).toEqual(['saved']);
    await cli.run('volume', 'rm', 'share', '--permanent');
  });

  test('ask before a directory is made that only the snapshot names', async () => {
    const folder = join(cli.stateDir, '../named');
    mkdirSync(folder);
    writeFileSync(join(folder, 'authorized_keys'), 'mine');
    await cli.run('backup', folder);
    rmSync(folder, { recursive: true });
    const [saved] = await cli.json<{ id: string }[]>('snapshots');
    const id = saved?.id ?? '';
    const asked = await cli.attempt(['restore', id]);
    expect(asked.stderr).toContain(`"${join(folder)}"`);
    expect(existsSync(folder)).toBe(false);
    await cli.run('restore', folder);
    expect(readFileSync(join(folder, 'authorized_keys'), 'utf8')).toBe('mine');
    rmSync(folder, { recursive: true });
    await cli.run('restore', id, '--yes');
    expect(readFileSync(join(folder, 'authorized_keys'), 'utf8')).toBe('mine');
  });

  test('replace the existing data exactly, save it before, and can be undone', async () => {
    const root = await cli.volume('pg');
    writeFileSync(join(root, 'kept'), 'as saved');
    writeFileSync(join(root, 'lost'), 'as saved');
    chmodSync(root, 0o700);
    const saved = treeFacts(root);
    await cli.run('backup', 'pg');
    writeFileSync(join(root, 'kept'), 'newer');
    rmSync(join(root, 'lost'));
    writeFileSync(join(root, 'extra'), 'newer');
    const later = treeFacts(root);

    const plan = await cli.attempt(['restore', 'pg', '--dry-run']);
    expect(plan.stdout).toContain('Comes back: 1, changes: 1, goes away: 1, other metadata: 0.');
    expect(plan.stdout).toContain('goes away: extra  (written after the snapshot)');
    expect(treeFacts(root)).toEqual(later);

    const refused = await cli.attempt(['restore', 'pg']);
    expect(refused).toMatchObject({ exit: 2, stdout: '' });
    expect(refused.stderr).toContain('--yes');
    expect(treeFacts(root)).toEqual(later);

    const done = await cli.json<{ safetySnapshotId: string }>('restore', 'pg', '--yes');
    expect(treeFacts(root)).toEqual(saved);
    await cli.run('restore', `pg@${done.safetySnapshotId.slice(0, 10)}`, '--yes', '--no-safety-snapshot');
    expect(treeFacts(root)).toEqual(later);
    // A safety snapshot is no backup: "latest" is still the backup.
    await cli.run('restore', 'pg', '--yes', '--no-safety-snapshot', '--no-keep');
    expect(treeFacts(root)).toEqual(saved);
    expect(readdirSync(join(root, '..'))).toEqual(['_data']);
  });

  test('an undo without a name is of the last restore, and never of another volume’s', async () => {
    const [pg, web] = [await cli.volume('pg'), await cli.volume('web')];
    await cli.run('backup', 'pg', 'web');
    for (const root of [pg, web]) writeFileSync(join(root, 'f'), 'newer');
    await cli.run('restore', 'pg', '--yes');
    await cli.run('restore', 'web', '--yes', '--no-keep');

    const refused = await cli.attempt(['undo', '--yes']);
    expect(refused).toMatchObject({ exit: 4, stdout: '' });
    expect(refused.stderr).toContain('Nothing is kept of the last restore, of "web"');
    expect(refused.stderr).toContain('holdfast undo pg');
    expect(await cli.attempt(['undo', '--drop', '--yes'])).toMatchObject({ exit: 4 });
    expect(readdirSync(pg)).toEqual([]);

    await cli.run('undo', 'pg', '--yes');
    expect(readdirSync(pg)).toEqual(['f']);
    // That undid the last restore.
    await cli.run('undo', '--yes');
    expect(readdirSync(pg)).toEqual([]);
    expect(readdirSync(web)).toEqual([]);
  });

  test('an undo without a name is of the last restore also when a drill was made since', async () => {
    const root = await cli.volume('pg');
    await cli.run('backup', 'pg');
    writeFileSync(join(root, 'f'), 'newer');
    await cli.run('restore', 'pg', '--yes');
    await cli.run('drill', 'pg');
    await cli.run('undo', '--yes');
    expect(readdirSync(root)).toEqual(['f']);
  });

  test('go by time', async () => {
    const root = await cli.volume('pg');
    writeFileSync(join(root, 'f'), 'one');
    await cli.run('backup', 'pg');
    const between = new Date(Date.now() + 50).toISOString();
    await new Promise((resolve) => setTimeout(resolve, 200));
    writeFileSync(join(root, 'f'), 'two');
    await cli.run('backup', 'pg');
    await cli.run('restore', `pg@${between}`, '--to', './then');
    expect(readFileSync(join(cli.folder, 'then/f'), 'utf8')).toBe('one');
    expect(await cli.attempt(['restore', 'pg@1999-01-01', '--to', './never'])).toMatchObject({ exit: 4 });
    expect(existsSync(join(cli.folder, 'never'))).toBe(false);
  });

  test('restore to a new directory, an empty one, and a new volume, and never into one with content', async () => {
    const root = await cli.volume('pg');
    writeFileSync(join(root, 'f'), 'content');
    const saved = treeFacts(root);
    await cli.run('backup', 'pg');
    await cli.run('restore', 'pg', '--to', './fresh');
    cli.mkdir('empty');
    await cli.run('restore', 'pg', '--to', './empty');
    await cli.run('restore', 'pg', '--to', './not/there/yet');
    await cli.run('restore', 'pg', '--to', 'pg-copy');
    const made = ['fresh', 'empty', 'not/there/yet'].map((name) => join(cli.folder, name));
    for (const place of [...made, cli.root('pg-copy')]) expect(treeFacts(place)).toEqual(saved);
    writeFileSync(join(cli.folder, 'fresh/mine'), 'mine');
    const before = treeFacts(join(cli.folder, 'fresh'));
    expect(await cli.attempt(['restore', 'pg', '--to', './fresh', '--yes'])).toMatchObject({ exit: 1 });
    expect(await cli.attempt(['restore', 'pg', '--to', 'pg-copy', '--yes'])).toMatchObject({ exit: 1 });
    expect(treeFacts(join(cli.folder, 'fresh'))).toEqual(before);
    // The copy has its own history.
    await cli.run('backup', 'pg-copy');
    expect(await cli.ids('pg')).toHaveLength(1);
  });

  test('restore one file or folder, and leave all the rest as it is', async () => {
    const root = await cli.volume('pg');
    mkdirSync(join(root, 'a/b'), { recursive: true });
    writeFileSync(join(root, 'a/b/one'), 'saved');
    writeFileSync(join(root, 'a/two'), 'saved');
    await cli.run('backup', 'pg');
    writeFileSync(join(root, 'a/b/one'), 'changed');
    writeFileSync(join(root, 'a/two'), 'changed');
    await cli.run('restore', 'pg', '--path', 'a/b/one', '--yes');
    expect([readFileSync(join(root, 'a/b/one'), 'utf8'), readFileSync(join(root, 'a/two'), 'utf8')]).toEqual([
      'saved',
      'changed',
    ]);
    rmSync(join(root, 'a'), { recursive: true });
    await cli.run('restore', 'pg', '--path', '/a/b', '--yes');
    expect(readdirSync(join(root, 'a'))).toEqual(['b']);
    await cli.run('restore', 'pg', '--path', 'a', '--to', './out');
    expect(readFileSync(join(cli.folder, 'out/a/two'), 'utf8')).toBe('saved');
    expect(await cli.attempt(['restore', 'pg', '--path', 'nope', '--yes'])).toMatchObject({ exit: 4 });
    expect(await cli.attempt(['restore', 'pg', '--path', '../etc', '--yes'])).toMatchObject({ exit: 2 });
  });

  test('do not go through a symbolic link that another user put in the place of a folder', async () => {
    const root = await cli.volume('pg');
    mkdirSync(join(root, 'conf'));
    writeFileSync(join(root, 'conf/file'), 'saved');
    await cli.run('backup', 'pg');
    const outside = cli.mkdir('outside');
    rmSync(join(root, 'conf'), { recursive: true });
    symlinkSync(outside, join(root, 'conf'));
    expect(await cli.attempt(['restore', 'pg', '--path', 'conf/file', '--yes'])).toMatchObject({ exit: 1 });
    expect(readdirSync(outside)).toEqual([]);
    await cli.run('restore', 'pg', '--yes');
    expect(readdirSync(outside)).toEqual([]);
    expect(readFileSync(join(root, 'conf/file'), 'utf8')).toBe('saved');
  });

  test('work on directories by their path, and leave the repository inside out', async () => {
    const data = cli.mkdir('data');
    writeFileSync(join(data, 'f'), 'content');
    await cli.run('backup', './data');
    writeFileSync(join(data, 'f'), 'changed');
    await cli.run('restore', './data', '--yes');
    expect(readFileSync(join(data, 'f'), 'utf8')).toBe('content');
    rmSync(data, { recursive: true });
    await cli.run('restore', './data');
    expect(readFileSync(join(data, 'f'), 'utf8')).toBe('content');
    const whole = await cli.attempt(['backup', '.']);
    expect(whole.exit).toBe(0);
    expect(whole.stderr).toContain('The repository itself, "repository", is left out');
    expect(await cli.run('ls', '.', '-q')).toBe('data\n');
    expect(await cli.attempt(['backup', './repository'])).toMatchObject({ exit: 2 });
  });

  test('a backup of all volumes that finds none is a failure, and is logged', async () => {
    const bare = new Cli();
    try {
      await bare.init();
      const none = await bare.attempt(['backup', '--all']);
      expect(none.exit).toBe(4);
      expect(none.stderr).toContain(
        'There is nothing to back up: there are no volumes. Holdfast keeps none itself',
      );
      await bare.run('volume', 'create', 'scratch', '--label', 'holdfast.backup=false');
      const skipped = await bare.attempt(['backup', '--all']);
      expect(skipped.exit).toBe(4);
      expect(skipped.stderr).toContain('"scratch": its label says holdfast.backup=false');
      const log = await bare.run('log', '--kind', 'backup');
      expect(log.match(/backup +failed +all volumes/g)).toHaveLength(2);
    } finally {
      bare[Symbol.dispose]();
    }
  });

  test('a backup is torn while a program of the machine has a file open for writing, without an engine too', async () => {
    const root = await cli.volume('pg');
    const child = spawn('sh', ['-c', 'exec 3>>"$0"; exec sleep 1000', join(root, 'f')], { stdio: 'ignore' });
    try {
      await expect.poll(() => existsSync(join(root, 'f'))).toBe(true);
      const { outcomes } = await cli.json<BackupJson>('backup', 'pg');
      expect(outcomes[0]).toMatchObject({ grade: 'torn' });
      expect(outcomes[0]?.gradeReason).toContain(`process ${child.pid}`);
    } finally {
      child.kill();
      await once(child, 'exit');
    }
    expect((await cli.json<BackupJson>('backup', 'pg')).outcomes[0]).toMatchObject({ grade: 'cold' });
  });

  test('the unreadable journal of one volume keeps no other from its backup', async () => {
    for (const name of ['a-damaged', 'b-whole', 'c-whole']) await cli.volume(name);
    mkdirSync(join(cli.stateDir, 'journal'), { recursive: true });
    using catalog = openSqliteCatalog(join(cli.stateDir, 'catalog.db'));
    writeFileSync(pathOf(cli.stateDir, { hostIdentity: catalog.stateId(), name: 'a-damaged' }), '{');
    const { exit, stdout } = await cli.attempt(['backup', '--all', '--format', 'json']);
    expect(exit).toBe(3);
    const { outcomes } = JSON.parse(stdout) as BackupJson;
    expect(outcomes.map(({ name, outcome }) => [name, outcome])).toEqual(
      expect.arrayContaining([
        ['a-damaged', 'failed'],
        ['b-whole', 'good'],
        ['c-whole', 'good'],
      ]),
    );
  });

  test('back up all volumes but those excluded by a label, and name these', async () => {
    for (const name of ['va', 'vb']) writeFileSync(join(await cli.volume(name), 'f'), name);
    await cli.run('volume', 'create', 'scratch', '--label', 'holdfast.backup=false');
    const report = await cli.json<BackupJson>('backup', '--all', '--tag', 'nightly');
    expect(report.outcomes.map(({ name, outcome }) => [name, outcome])).toEqual([
      ['va', 'good'],
      ['vb', 'good'],
    ]);
    expect(report.skipped.map(({ name }) => name)).toEqual(['scratch']);
    expect((await cli.run('snapshots', '--tag', 'nightly', '-q')).trim().split('\n')).toHaveLength(2);
    expect((await cli.run('snapshots', '--tag', 'weekly', '-q')).trim()).toBe('');
  });

  test('leave out Holdfast’s own files below a directory, and are not restored over them', async () => {
    writeFileSync(join(cli.folder, 'mine'), 'content');
    const { stderr } = await cli.attempt(['backup', cli.folder]);
    expect(stderr).toContain(
      'The state folder of Holdfast, with its cache and its volumes, "state", is left out.',
    );
    expect(stderr).toContain('"repository", is left out.');
    const names = (await cli.run('ls', cli.folder, '-q')).split('\n');
    expect(names).toContain('mine');
    expect(names.filter((name) => /^(?:state|repository)(?:\/|$)/.test(name))).toEqual([]);
    const refused = await cli.attempt(['restore', cli.folder, '--yes']);
    expect(refused).toMatchObject({ exit: 1 });
    expect(refused.stderr).toContain('Holdfast itself lies in it');
    expect(existsSync(cli.stateDir)).toBe(true);
    await cli.run('restore', cli.folder, '--to', join(cli.folder, 'back'));
    expect(readdirSync(join(cli.folder, 'back'))).toEqual(['mine']);
    for (const name of ['mine', 'back']) rmSync(join(cli.folder, name), { recursive: true });
  });

  test('exclude patterns, and store nothing in a dry run', async () => {
    const root = await cli.volume('pg');
    for (const name of ['keep.txt', 'drop.log']) writeFileSync(join(root, name), name);
    const dry = await cli.json<BackupJson>('backup', 'pg', '--dry-run', '--exclude', '*.log');
    expect(dry.outcomes[0]).toMatchObject({ snapshotId: null, summary: { files: 1 } });
    expect(await cli.ids('pg')).toEqual([]);
    await cli.run('backup', 'pg', '--exclude', '*.log');
    expect(await cli.run('ls', 'pg', '-q')).toBe('keep.txt\n');
  });

  test('know unchanged files, and notice one whose content changed under the same size and time', async () => {
    const root = await cli.volume('pg');
    writeFileSync(join(root, 'sly'), 'aaaa');
    utimesSync(join(root, 'sly'), 1_000_000, 1_000_000);
    // A file changed at the very moment of its backup is read again, so wait.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await cli.run('backup', 'pg');
    const again = await cli.json<BackupJson>('backup', 'pg');
    expect(again.outcomes[0]?.summary).toMatchObject({ filesUnmodified: 1 });
    writeFileSync(join(root, 'sly'), 'bbbb');
    utimesSync(join(root, 'sly'), 1_000_000, 1_000_000);
    await cli.run('backup', 'pg');
    expect((await cli.attempt(['dump', 'pg', 'sly'])).stdout).toBe('bbbb');
  });

  test('diff, ls and dump look into snapshots', async () => {
    const root = await cli.volume('pg');
    mkdirSync(join(root, 'sub'));
    writeFileSync(join(root, 'sub/a'), 'first');
    writeFileSync(join(root, 'b'), 'same');
    await cli.run('backup', 'pg');
    writeFileSync(join(root, 'sub/a'), 'second!');
    writeFileSync(join(root, 'c'), 'new');
    chmodSync(join(root, 'b'), 0o600);
    await cli.run('backup', 'pg');
    const [first = '', second = ''] = await cli.ids('pg');
    const shown = await cli.run('diff', first, second);
    expect(shown).toBe(
      'U b\n+ c  (3 B)\nM sub/a  (5 B -> 7 B)\n1 added, 0 removed, 1 changed, 1 with other metadata only; +10 B, -5 B\n',
    );
    rmSync(join(root, 'c'));
    expect(await cli.run('diff', second)).toContain('- c  (3 B)');
    expect(await cli.run('ls', first.slice(0, 8), '/sub', '-q')).toBe('a\n');
    const entries = await cli.json<{ name: string; size: number }[]>('ls', second, '--recursive');
    expect(entries.map(({ name }) => name)).toEqual(['b', 'c', 'sub', 'sub/a']);
    expect((await cli.attempt(['dump', first, 'sub/a'])).stdout).toBe('first');
    const tar = await cli.attempt(['dump', first, '/']);
    expect(tar.stdout).toContain('first');
    expect(await cli.attempt(['dump', first, 'nope'])).toMatchObject({ exit: 4, stdout: '' });
  });

  test('a bare machine gets everything back with the repository and its key', async () => {
    const root = await cli.volume('pg');
    writeFileSync(join(root, 'f'), 'content');
    const saved = treeFacts(root);
    await cli.run('backup', 'pg');
    using other = new Cli();
    const access = ['--repo', cli.repository, '--password-file', join(cli.stateDir, 'keys/default.key')];
    await other.run('init', ...access);
    await other.run('restore', 'pg', '--take-over');
    expect(treeFacts(other.root('pg'))).toEqual(saved);
    // The restored volume continues the same lineage, so its next backup finds its parent there.
    await other.run('backup', 'pg');
    const listed = await other.json<{ volume: { identity: string } }[]>('snapshots', 'pg');
    expect(new Set(listed.map(({ volume }) => volume.identity)).size).toBe(1);
    expect(listed).toHaveLength(2);
  });
});
