import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { treeFacts } from '../support/tree-facts.ts';
import { type Ended, FaultWorld } from './fault-world.ts';
import { dice } from './seeded.ts';
import { waitForPack } from './wait-for-pack.ts';

const random = dice('full disk');
let world: FaultWorld;
let mounted: string[];

beforeEach(() => {
  world = new FaultWorld();
  mounted = [];
});
afterEach(() => {
  for (const path of mounted.toReversed()) execFileSync('umount', [path]);
  world[Symbol.dispose]();
});

/** A small file system in memory. */
function mountSmall(path: string, size: string): void {
  mkdirSync(path, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'none', path]);
  mounted.push(path);
}

function remount(path: string, options: string): void {
  execFileSync('mount', ['-o', `remount,${options}`, path]);
}

/** Exactly one message of this kind, and nothing else alarming. */
function expectOneMessage(ended: Ended, words: RegExp): void {
  const messages = ended.stderr.split('\n').filter((line) => line.startsWith('holdfast: '));
  expect(messages, ended.stderr).toHaveLength(1);
  expect(messages[0], ended.stderr).toMatch(words);
}

describe.runIf(process.getuid?.() === 0)('a full disk', () => {
  test('under the repository fails the backup with one message, harms nothing, and the next run continues', async () => {
    mountSmall(world.repository, '24m');
    await world.init();
    const root = await world.volume('data');
    writeFileSync(join(root, 'first'), random.bytes(2_000_000));
    const first = treeFacts(root);
    await world.run('backup', 'data');
    for (let i = 0; i < 10; i++) writeFileSync(join(root, `more-${i}`), random.bytes(5_000_000));
    const failed = await world.attempt(['backup', 'data']);
    expect(failed.exit, failed.stderr).toBe(1);
    expectOneMessage(failed, /the disk is full/);
    expect(world.strays()).toEqual([]);
    expect(readdirSync(join(world.repository, 'locks'))).toEqual([]);
    expect(readdirSync(join(world.repository, 'snapshots'))).toHaveLength(1);

    remount(world.repository, 'size=25m');
    expect(await world.judge('check', '--read-data')).toContain('no errors were found');
    const [id = ''] = await world.ids('data');
    await world.run('restore', `data@${id}`, '--to', './first');
    expect(treeFacts(join(world.folder, 'first'))).toEqual(first);

    remount(world.repository, 'size=100m');
    await world.run('backup', 'data');
    expect(await world.judge('check', '--read-data')).toContain('no errors were found');
    expect(await world.ids('data')).toHaveLength(2);
  });

  test('that is full to the last block still lets the repository be read', async () => {
    mountSmall(world.repository, '8m');
    await world.init();
    const root = await world.volume('data');
    writeFileSync(join(root, 'first'), random.bytes(1_000_000));
    const first = treeFacts(root);
    await world.run('backup', 'data');
    expect(() => writeFileSync(join(world.repository, 'ballast'), Buffer.alloc(8_000_000, 1))).toThrow(
      'ENOSPC',
    );
    const [id = ''] = await world.ids('data');
    const failed = await world.attempt(['backup', 'data']);
    expect(failed.exit, failed.stderr).toBe(1);
    expectOneMessage(failed, /the disk is full/);
    const restored = await world.attempt(['restore', `data@${id}`, '--to', './first']);
    expect(restored.exit, restored.stderr).toBe(0);
    expect(treeFacts(join(world.folder, 'first'))).toEqual(first);
    const checked = await world.attempt(['check', '--read-data']);
    expect(checked.exit, checked.stderr).toBe(0);
  });

  test('under a volume leaves it unchanged by a failed restore', async () => {
    await world.init();
    const disk = join(world.folder, 'disk');
    mountSmall(disk, '24m');
    // Each on the small disk; one is its root, where restored data has to be staged inside.
    for (const place of [join(disk, 'folder'), disk]) {
      mkdirSync(place, { recursive: true });
      writeFileSync(join(place, 'large'), random.bytes(10_000_000));
      await world.run('backup', place);
      rmSync(join(place, 'large'));
      for (const name of ['newer-1', 'newer-2']) writeFileSync(join(place, name), random.bytes(8_000_000));
      const before = treeFacts(place, { without: ['directoryTimes'] });
      const failed = await world.attempt(['restore', place, '--yes']);
      expect(failed.exit, failed.stderr).toBe(1);
      expectOneMessage(failed, /the disk is full/);
      expect(treeFacts(place, { without: ['directoryTimes'] })).toEqual(before);
      expect(readdirSync(disk).filter((name) => name.startsWith('.'))).toEqual([]);
      for (const name of readdirSync(disk)) rmSync(join(disk, name), { recursive: true });
    }
  });

  test('under a new volume leaves no volume behind', async () => {
    mountSmall(world.stateDir, '16m');
    await world.init();
    const source = world.mkdir('source');
    writeFileSync(join(source, 'large'), random.bytes(30_000_000));
    await world.run('backup', './source');
    const failed = await world.attempt(['restore', './source', '--to', 'fresh']);
    expect(failed.exit, failed.stderr).toBe(1);
    expectOneMessage(failed, /the disk is full/);
    expect(await world.run('volume', 'ls', '--quiet')).toBe('');
    expect(readdirSync(join(world.stateDir, 'volumes'))).toEqual([]);
    expect(await world.run('snapshots', '--quiet')).not.toBe('');
  });

  test('under the state folder is reported, and saved data is still restored', async () => {
    mountSmall(world.stateDir, '2m');
    await world.init();
    const source = world.mkdir('source');
    writeFileSync(join(source, 'file'), random.bytes(1_000_000));
    const before = treeFacts(source);
    await world.run('backup', './source');
    expect(() => writeFileSync(join(world.stateDir, 'ballast'), Buffer.alloc(4_000_000, 1))).toThrow(
      'ENOSPC',
    );
    const backup = await world.attempt(['backup', './source']);
    if (backup.exit !== 0) {
      expect(backup.exit, backup.stderr).toBe(1);
      expectOneMessage(backup, /full/);
    }
    world.mkdir('empty');
    for (const to of ['elsewhere', 'empty']) {
      const restored = await world.attempt(['restore', './source', '--to', `./${to}`]);
      expect(restored.exit, restored.stderr).toBe(0);
      expect(restored.stderr).toContain('The disk of the state folder is full');
      expect(treeFacts(join(world.folder, to))).toEqual(before);
    }
    // The replaced data must be recoverable: that is recorded, or the restore not done.
    writeFileSync(join(source, 'newer'), 'newer');
    const now = treeFacts(source);
    const refused = await world.attempt(['restore', './source', '--yes', '--no-safety-snapshot']);
    expect(refused.exit, refused.stderr).toBe(1);
    expectOneMessage(refused, /the disk is full/);
    expect(treeFacts(source)).toEqual(now);
    expect(readdirSync(world.folder).filter((name) => name.startsWith('.'))).toEqual([]);
    rmSync(join(world.stateDir, 'ballast'));
    await world.run('backup', './source');
    await world.judge('check');
  });

  test('under the state folder: an ended restore elsewhere leaves nothing, a killed one only what it has named before', async () => {
    mountSmall(world.stateDir, '2m');
    await world.init();
    const source = world.mkdir('source');
    writeFileSync(join(source, 'file'), random.bytes(100_000_000));
    await world.run('backup', './source');
    expect(() => writeFileSync(join(world.stateDir, 'ballast'), Buffer.alloc(4_000_000, 1))).toThrow(
      'ENOSPC',
    );
    const stages = (): string[] => readdirSync(world.folder).filter((name) => name.startsWith('.'));
    for (const signal of ['SIGINT', 'SIGKILL'] as const) {
      const { child, ended } = world.start(['restore', './source', '--to', './elsewhere']);
      await expect.poll(stages, { interval: 2 }).toHaveLength(1);
      const [stage = ''] = stages();
      child.kill(signal);
      const { exit, stderr } = await ended;
      expect(exit, stderr).toBe(signal === 'SIGINT' ? 130 : 137);
      expect(stderr).toContain(`"${join(world.folder, stage)}" may be left behind`);
      expect(existsSync(join(world.folder, 'elsewhere'))).toBe(false);
      expect(stages()).toEqual(signal === 'SIGINT' ? [] : [stage]);
    }
    await world.run('restore', './source', '--to', './elsewhere');
    expect(treeFacts(join(world.folder, 'elsewhere'))).toEqual(treeFacts(source));
  });

  test('under the state folder gets its room back from the trash', async () => {
    mountSmall(world.stateDir, '4m');
    await world.init();
    const root = await world.volume('old');
    writeFileSync(join(root, 'file'), random.bytes(1_000_000));
    await world.run('volume', 'rm', 'old');
    expect(() => writeFileSync(join(world.stateDir, 'ballast'), Buffer.alloc(8_000_000, 1))).toThrow(
      'ENOSPC',
    );
    expect(await world.run('trash', 'ls', '--quiet')).toMatch(/^[0-9a-f]{16}\n$/);
    await world.run('trash', 'empty', '--yes');
    rmSync(join(world.stateDir, 'ballast'));
    expect(await world.run('trash', 'ls', '--quiet')).toBe('');
    await world.run('volume', 'create', 'new');
  });
});

describe.runIf(process.getuid?.() === 0)('a store', () => {
  test('that is read-only is reported, and can be listed, checked and restored from', async () => {
    mountSmall(world.repository, '40m');
    await world.init();
    const root = await world.volume('data');
    writeFileSync(join(root, 'file'), random.bytes(1_000_000));
    const before = treeFacts(root);
    await world.run('backup', 'data');
    remount(world.repository, 'ro');
    const failed = await world.attempt(['backup', 'data']);
    expect(failed.exit, failed.stderr).toBe(1);
    expectOneMessage(failed, /read-only/);
    for (const args of [['snapshots'], ['check', '--read-data'], ['restore', 'data', '--to', './copy']]) {
      const read = await world.attempt(args);
      expect(read.exit, `${args.join(' ')}: ${read.stderr}`).toBe(0);
    }
    expect(treeFacts(join(world.folder, 'copy'))).toEqual(before);
  });

  test('that disappears during a backup is reported, and nothing is created in its place', async () => {
    await world.init();
    const root = await world.volume('data');
    writeFileSync(join(root, 'large'), random.bytes(150_000_000));
    const away = `${world.repository}-away`;
    const running = world.start(['backup', 'data']);
    await waitForPack(world.repository);
    renameSync(world.repository, away);
    const failed = await running.ended;
    expect(failed.exit, failed.stderr).not.toBe(0);
    expectOneMessage(failed, /repository/);
    expect(existsSync(world.repository)).toBe(false);
    renameSync(away, world.repository);
    await world.run('backup', 'data');
    expect(await world.judge('check')).toContain('no errors were found');
  });

  test('that becomes read-only during a backup is reported, and the next one continues', async () => {
    world.repository = join(world.mkdir('open'), 'repository');
    world.stateDir = join(world.folder, 'open/state');
    execFileSync('chown', ['1234:1234', join(world.folder, 'open')]);
    chmodSync(world.folder, 0o755);
    const source = world.mkdir('source');
    writeFileSync(join(source, 'large'), random.bytes(150_000_000));
    const asUser = { uid: 1234, env: { HOME: join(world.folder, 'open') } };
    const init = await world.attempt(['init', '--repo', world.repository], asUser);
    expect(init.exit, init.stderr).toBe(0);
    const running = world.start(['backup', source], asUser);
    await waitForPack(world.repository);
    execFileSync('chmod', ['-R', 'u-w', world.repository]);
    const failed = await running.ended;
    expect(failed.exit, failed.stderr).toBe(1);
    expectOneMessage(failed, /permission denied/);
    execFileSync('chmod', ['-R', 'u+w', world.repository]);
    const again = await world.attempt(['backup', source], asUser);
    expect(again.exit, again.stderr).toBe(0);
    expect(await world.judge('check')).toContain('no errors were found');
  });

  test('under the log is a warning: the backup succeeds, and the log reports the gap', async () => {
    await world.init();
    const root = await world.volume('data');
    writeFileSync(join(root, 'file'), 'content');
    const folder = join(world.stateDir, 'log');
    renameSync(folder, `${folder}-before`);
    mountSmall(folder, '16k');
    for (const name of readdirSync(`${folder}-before`))
      writeFileSync(join(folder, name), readFileSync(join(`${folder}-before`, name)));
    expect(() => writeFileSync(join(folder, 'ballast'), Buffer.alloc(64_000, 1))).toThrow('ENOSPC');
    // The rest of the last block has room for an entry or two.
    let warned = 0;
    for (let i = 0; i < 12; i++) {
      const saved = await world.attempt(['backup', 'data']);
      expect(saved.exit, saved.stderr).toBe(0);
      if (saved.stderr.includes('Warning: Cannot write to the log')) warned++;
    }
    expect(warned).toBeGreaterThan(0);
    rmSync(join(folder, 'ballast'));
    await world.run('backup', 'data');
    const text = await world.run('log', '--verify');
    expect(text).toContain('The log is whole');
    expect(text).toContain(`${warned} ${warned === 1 ? 'entry' : 'entries'} could not be written`);
    expect(await world.ids('data')).toHaveLength(13);
  });
});

describe.runIf(process.getuid?.() === 0)('a state folder that is read-only', () => {
  test('does not block saved data: it is listed, checked and restored elsewhere, and nothing else is done', async () => {
    mountSmall(world.stateDir, '16m');
    await world.init();
    const source = world.mkdir('source');
    writeFileSync(join(source, 'file'), 'content');
    const root = await world.volume('data');
    writeFileSync(join(root, 'file'), 'content');
    const before = treeFacts(source);
    await world.run('backup', './source', 'data');
    remount(world.stateDir, 'ro');
    for (const args of [
      ['snapshots'],
      ['ls', 'data'],
      ['find', 'file'],
      ['dump', 'data', '/file'],
      ['diff', 'data'],
      ['stats'],
      ['check', '--read-data'],
      ['verify', '--all'],
      ['volume', 'ls'],
      ['policy', 'ls'],
      ['coverage'],
      ['key', 'list'],
      ['repo', 'ls'],
    ]) {
      const { exit, stderr } = await world.attempt(args);
      expect({ args, exit, stderr }).toMatchObject({ args, exit: 0 });
      expect(stderr).toContain('What follows is read from a copy of it, and nothing is remembered.');
    }
    const restored = await world.attempt(['restore', './source', '--to', './elsewhere']);
    expect(restored.exit, restored.stderr).toBe(0);
    expect(restored.stderr).toContain('The state folder cannot be written to, so it is not written down');
    expect(treeFacts(join(world.folder, 'elsewhere'))).toEqual(before);
    // The replaced data must be recoverable, and everything created or saved must be known afterwards.
    writeFileSync(join(source, 'newer'), 'newer');
    const now = treeFacts(source);
    for (const args of [
      ['restore', './source', '--yes', '--no-safety-snapshot'],
      ['restore', './source', '--yes'],
      ['restore', 'data', '--yes'],
      ['restore', 'data', '--to', 'another', '--yes'],
      ['backup', './source'],
      ['volume', 'create', 'another'],
      ['volume', 'rm', 'data'],
      ['forget', 'data', '--keep-last', '1', '--yes'],
    ]) {
      const refused = await world.attempt(args);
      expect({ args, exit: refused.exit, stderr: refused.stderr }).toMatchObject({ args, exit: 1 });
      expectOneMessage(refused, /read-only/);
    }
    expect(treeFacts(source)).toEqual(now);
    expect(readdirSync(world.folder).filter((name) => name.startsWith('.'))).toEqual([]);
    remount(world.stateDir, 'rw');
    await world.run('backup', './source', 'data');
    await world.judge('check');
  });
});
