import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Cli } from './cli.ts';

let cli: Cli;
let root: string;
beforeEach(async () => {
  cli = new Cli();
  await cli.init();
  root = await cli.volume('pg');
});
afterEach(() => cli[Symbol.dispose]());

/** Backs up other data each time, and returns the id. */
async function backUp(...flags: string[]): Promise<string> {
  writeFileSync(join(root, 'data'), randomBytes(300_000));
  await cli.run('backup', 'pg', ...flags);
  return (await cli.ids('pg')).at(-1) ?? '';
}

interface ForgetJson {
  readonly dryRun: boolean;
  readonly groups: readonly {
    readonly name: string;
    readonly isSafety: boolean;
    readonly snapshots: readonly {
      readonly id: string;
      readonly stays: boolean;
      readonly reasons: string[];
    }[];
  }[];
  readonly removed: readonly string[];
  readonly refusal: string | null;
  readonly prune: { readonly freedBytes: number } | null;
}

interface PruneJson {
  readonly dryRun: boolean;
  readonly packs: { readonly count: number; readonly bytes: number };
  readonly unused: { readonly bytes: number };
  readonly freedBytes: number;
}

function packCount(): number {
  return readdirSync(join(cli.repository, 'data'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\/[0-9a-f]{64}$/.test(name),
  ).length;
}

describe('holdfast forget', () => {
  test('shows for every snapshot why it stays or goes, and touches nothing with --dry-run', async () => {
    const [first, second, third] = [await backUp('--tag', 'keep'), await backUp(), await backUp()];
    const args = ['forget', '--keep-last', '1', '--keep-tag', 'keep', '--dry-run'];
    const text = await cli.run(...args);
    expect(text).toMatch(new RegExp(`stays +${third.slice(0, 8)} .*last snapshot, newest whole snapshot`));
    expect(text).toMatch(new RegExp(`goes +${second.slice(0, 8)} .*no rule keeps it`));
    expect(text).toMatch(new RegExp(`stays +${first.slice(0, 8)} .*has tags \\[keep\\]`));
    const plan = await cli.json<ForgetJson>(...args);
    expect(plan).toMatchObject({ dryRun: true, removed: [], prune: null, refusal: null });
    expect(plan.groups[0]?.snapshots.map(({ stays }) => stays)).toEqual([true, false, true]);
    expect(await cli.ids('pg')).toEqual([first, second, third]);
  });

  test('asks before it removes, and frees the data with --prune', async () => {
    await backUp();
    await backUp();
    const last = await backUp();
    const asked = await cli.attempt(['forget', 'pg', '--keep-last', '1']);
    expect(asked).toMatchObject({ exit: 2, stderr: expect.stringContaining('--yes') });
    expect(await cli.ids('pg')).toHaveLength(3);
    const before = packCount();
    const done = await cli.json<ForgetJson>('forget', 'pg', '--keep-last', '1', '--prune', '--yes');
    expect(done.removed).toHaveLength(2);
    expect(done.prune?.freedBytes).toBeGreaterThan(600_000);
    expect(packCount()).toBeLessThan(before);
    expect(await cli.ids('pg')).toEqual([last]);
    await cli.run('check', '--read-data');
  });

  test('never leaves a volume without snapshots, unless that is allowed', async () => {
    const [first, second] = [await backUp(), await backUp()];
    const refused = await cli.attempt(['forget', first, second, '--yes']);
    expect(refused).toMatchObject({ exit: 2, stderr: expect.stringContaining('nothing would be left') });
    const nothing = ['forget', 'pg', '--keep-tag', 'none', '--yes'];
    expect((await cli.json<ForgetJson>(...nothing)).removed).toEqual([first]);
    expect(await cli.attempt([...nothing, '--keep-verified', '0'])).toMatchObject({ exit: 2 });
    expect(await cli.ids('pg')).toEqual([second]);
    expect((await cli.json<ForgetJson>('forget', 'pg', '--allow-empty', '--yes')).removed).toEqual([second]);
    expect(await cli.ids('pg')).toEqual([]);
  });

  test('keeps the newest snapshot that a check has verified, under its new id when it was tagged', async () => {
    await backUp();
    const verified = await backUp();
    await cli.run('check', '--read-data');
    await backUp();
    await backUp();
    const [tagged] = await cli.json<{ id: string }[]>('tag', '--add', 'x', verified);
    const plan = await cli.json<ForgetJson>('forget', '--keep-last', '1', '--dry-run');
    const stays = plan.groups[0]?.snapshots.filter((snapshot) => snapshot.stays);
    expect(stays).toHaveLength(2);
    expect(stays?.[1]).toMatchObject({ id: tagged?.id, reasons: ['newest verified snapshot'] });
  });

  test('counts safety snapshots separately, so that they take no place of a backup', async () => {
    const backup = await backUp();
    writeFileSync(join(root, 'data'), 'newer');
    await cli.run('restore', 'pg', '--yes');
    const plan = await cli.json<ForgetJson>('forget', '--keep-last', '1', '--dry-run');
    expect(plan.groups.map(({ isSafety }) => isSafety)).toEqual([false, true]);
    expect(plan.groups[0]?.snapshots).toEqual([expect.objectContaining({ id: backup, stays: true })]);
  });

  test('removes single snapshots by name', async () => {
    const [first, second, third] = [await backUp(), await backUp(), await backUp()];
    await cli.run('forget', first.slice(0, 10), `pg@${second.slice(0, 8)}`, '--yes');
    expect(await cli.ids('pg')).toEqual([third]);
  });

  test('removes a record that is damaged, which would keep prune from working', async () => {
    const [first, second] = [await backUp(), await backUp()];
    writeFileSync(join(cli.repository, 'snapshots', first), 'rubbish');
    const prune = await cli.attempt(['prune']);
    expect(prune).toMatchObject({ exit: 6, stderr: expect.stringContaining('Cannot prune') });
    await cli.run('forget', first.slice(0, 8), '--yes');
    await cli.run('prune');
    expect(await cli.ids('pg')).toEqual([second]);
    await cli.run('check');
  });

  test.each([
    [[], 'Nothing says what to keep'],
    [['--allow-empty'], 'Nothing says what to keep'],
    [['--keep-last', 'many'], 'Cannot read "many" as a number of snapshots'],
    [['--keep-last', '-1'], 'Cannot read "-1"'],
    [['--keep-within', '5x'], 'Cannot read the span "5x"'],
    [['--keep-within', '3'], 'Cannot read the span "3"'],
    [['--keep-last', '1', '--prune', '--max-unused', 'lots'], 'Cannot read the limit "lots"'],
    [['nothing-such', '--keep-last', '1'], 'nothing-such'],
  ])('%j is refused before anything is done', async (args, message) => {
    const id = await backUp();
    const { exit, stderr } = await cli.attempt(['forget', ...args, '--yes']);
    expect([2, 4]).toContain(exit);
    expect(stderr).toContain(message);
    expect(await cli.ids('pg')).toEqual([id]);
  });

  test('does not mix single snapshots with rules', async () => {
    const [first] = [await backUp(), await backUp()];
    const { exit, stderr } = await cli.attempt(['forget', first, '--keep-last', '1', '--yes']);
    expect(exit).toBe(2);
    expect(stderr).toContain('together with rules');
    expect(await cli.ids('pg')).toHaveLength(2);
  });
});

describe('holdfast prune', () => {
  test('reports what it would do, does it, and then has nothing to do', async () => {
    const [first] = [await backUp(), await backUp()];
    await cli.run('forget', first, '--yes');
    const packs = packCount();
    const plan = await cli.json<PruneJson>('prune', '--dry-run');
    expect(plan).toMatchObject({ dryRun: true, packs: { count: packs } });
    expect(plan.freedBytes).toBeGreaterThan(300_000);
    expect(packCount()).toBe(packs);
    expect(await cli.run('prune')).toContain('Space reclaimed: ');
    expect(packCount()).toBeLessThan(packs);
    expect(await cli.json<PruneJson>('prune', '--dry-run')).toMatchObject({
      freedBytes: 0,
      unused: { bytes: 0 },
    });
    expect(await cli.run('prune')).toContain('Nothing was removed');
    await cli.run('check', '--read-data');
  });

  test('refuses while anything that decides what is needed is damaged, and removes nothing', async () => {
    const [first] = [await backUp(), await backUp()];
    await cli.run('forget', first, '--yes');
    const packs = packCount();
    for (const name of readdirSync(join(cli.repository, 'index')))
      writeFileSync(join(cli.repository, 'index', name), 'rubbish');
    const { exit, stderr } = await cli.attempt(['prune']);
    expect(exit).toBe(6);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(packCount()).toBe(packs);
  });

  test('refuses when an index that snapshots need is missing, and removes nothing', async () => {
    await backUp();
    const packs = packCount();
    for (const name of readdirSync(join(cli.repository, 'index')))
      rmSync(join(cli.repository, 'index', name));
    const { exit, stderr } = await cli.attempt(['prune']);
    expect(exit).toBe(6);
    expect(stderr).toContain('Cannot prune, because not all can be read');
    expect(packCount()).toBe(packs);
  });
});

describe('holdfast tag', () => {
  test('adds, removes and sets tags; the snapshot keeps its volume and gets a new id', async () => {
    const id = await backUp('--tag', 'one');
    const [added] = await cli.json<{ id: string; formerId: string; tags: string[] }[]>(
      'tag',
      '--add',
      'two,three',
      id,
    );
    expect(added).toMatchObject({ formerId: id, tags: ['one', 'two', 'three'] });
    expect(added?.id).not.toBe(id);
    await cli.run('tag', '--remove', 'one', '--remove', 'two', 'pg@latest');
    expect(await cli.json('snapshots', 'pg')).toMatchObject([{ tags: ['three'], volume: { name: 'pg' } }]);
    await cli.run('tag', '--set', '', 'pg');
    expect(await cli.json('snapshots', 'pg')).toMatchObject([{ tags: [], grade: 'cold' }]);
    const [same] = await cli.json<{ id: string; formerId: string }[]>('tag', '--remove', 'none', 'pg');
    expect(same?.id).toBe(same?.formerId);
    await cli.run('restore', 'pg', '--to', join(cli.folder, 'out'));
  });

  test.each([
    [['pg'], 'Nothing says which tags to change'],
    [['--set', 'a', '--add', 'b', 'pg'], 'excludes'],
    [['--add', 'before-restore', 'pg'], 'cannot be given'],
    [['--add', 'a', 'pg', 'nothing-such'], 'nothing-such'],
  ])('%j is refused, and nothing is changed', async (args, message) => {
    const id = await backUp();
    const { exit, stderr } = await cli.attempt(['tag', ...args]);
    expect([2, 4]).toContain(exit);
    expect(stderr).toContain(message);
    expect(await cli.ids('pg')).toEqual([id]);
  });
});

describe('holdfast stats', () => {
  interface StatsJson {
    readonly packBytes: number;
    readonly total: { readonly storedBytes: number };
    readonly volumes: readonly {
      readonly name: string;
      readonly snapshots: number;
      readonly restorableBytes: number;
      readonly storedBytes: number;
      readonly ownBytes: number;
      readonly dedupRatio: number;
    }[];
  }

  test('reports what each volume restores, needs, and shares with others', async () => {
    await backUp();
    await cli.run('backup', 'pg');
    const other = await cli.volume('copy');
    const shared = randomBytes(700_000);
    for (const folder of [root, other]) writeFileSync(join(folder, 'shared'), shared);
    await cli.run('backup', 'pg', 'copy');
    const stats = await cli.json<StatsJson>('stats');
    expect(stats.volumes.map(({ name, snapshots }) => [name, snapshots])).toEqual([
      ['copy', 1],
      ['pg', 3],
    ]);
    const [copy, pg] = stats.volumes;
    expect(copy).toMatchObject({ restorableBytes: 700_000 });
    expect(pg).toMatchObject({ restorableBytes: 300_000 * 3 + 700_000, dedupRatio: 1.6 });
    expect(copy?.ownBytes).toBeLessThan(10_000);
    expect(pg?.ownBytes).toBeGreaterThan(300_000);
    expect(pg?.ownBytes).toBeLessThan(320_000);
    expect(stats.total.storedBytes).toBeGreaterThan(1_000_000);
    expect(stats.total.storedBytes).toBeLessThan(1_020_000);
    expect(stats.packBytes).toBeGreaterThan(stats.total.storedBytes);
    expect((await cli.json<StatsJson>('stats', 'copy')).volumes).toEqual([copy]);
    expect(await cli.run('stats')).toMatch(/^copy +1 +700.0 kB/m);
  });
});

describe('holdfast find', () => {
  test('finds names, paths and folders in all snapshots, the newest first', async () => {
    mkdirSync(join(root, 'conf/deep'), { recursive: true });
    writeFileSync(join(root, 'conf/deep/App.yml'), 'one');
    const first = await backUp();
    const second = await backUp();
    const paths = async (...args: string[]): Promise<string[]> =>
      (await cli.json<{ snapshotId: string; path: string }[]>('find', ...args)).map(
        ({ snapshotId, path }) => `${snapshotId === first ? 1 : snapshotId === second ? 2 : '?'} ${path}`,
      );
    expect(await paths('*.yml')).toEqual(['2 conf/deep/App.yml', '1 conf/deep/App.yml']);
    expect(await paths('app.YML', '-i', '--volume', 'pg')).toHaveLength(2);
    expect(await paths('/conf/*/App.yml', 'dat?')).toEqual([
      '2 conf/deep/App.yml',
      '2 data',
      '1 conf/deep/App.yml',
      '1 data',
    ]);
    expect(await paths('deep/')).toEqual(['2 conf/deep', '1 conf/deep']);
    rmSync(join(root, 'conf'), { recursive: true });
    await backUp();
    expect(await paths('deep')).toHaveLength(2);
    expect(await cli.run('find', 'App.yml')).toMatch(
      new RegExp(`^${second.slice(0, 8)} +pg .* 3 B .*App.yml$`, 'm'),
    );
  });

  test('exits with 4 when there is nothing, and refuses to search for nothing', async () => {
    await backUp();
    expect(await cli.attempt(['find', 'nothing-such'])).toMatchObject({ exit: 4 });
    expect(await cli.attempt(['find'])).toMatchObject({ exit: 2 });
    expect(await cli.attempt(['find', '['])).toMatchObject({ exit: 2 });
    expect(await cli.attempt(['find', '--blob', 'xyz'])).toMatchObject({ exit: 2 });
  });
});
