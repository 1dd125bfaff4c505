import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { openSqliteCatalog } from '../../src/catalog/sqlite-catalog.ts';
import { openDrivers } from '../../src/drivers/open-drivers.ts';
import { openManagedHost } from '../../src/volumes/managed/managed-host.ts';
import type {
  ManagedVolumes,
  MigrationPlaces,
  MigrationSteps,
  SeedPlaces,
} from '../../src/volumes/managed/managed-volumes.ts';
import { readMounts } from '../../src/lib/mountinfo.ts';
import { TreeMirror } from '../../src/volumes/mirror/tree-mirror.ts';
import { fromText } from '../../src/model/byte-string.ts';
import { makeHostileTree } from '../support/hostile-tree.ts';
import { mountLoopFilesystem } from '../support/loop-filesystem.ts';
import { deadlyMoments } from '../support/migrate-and-die.ts';
import { treeFacts } from '../support/tree-facts.ts';

let stateDir: string;
let catalog: Catalog;
let host: Awaited<ReturnType<typeof openManagedHost>>;
let managed: ManagedVolumes;

const reopen = async (): Promise<ManagedVolumes> => {
  await managed?.[Symbol.asyncDispose]();
  const drivers = openDrivers({ stateDir, secret: async () => Buffer.from('secret') });
  host = await openManagedHost({ stateDir, catalog, drivers });
  managed = host.managed;
  return managed;
};

beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'migrate-'));
  catalog = openSqliteCatalog(join(stateDir, 'catalog.db'));
  await reopen();
});

afterEach(async () => {
  await managed[Symbol.asyncDispose]();
  for (const mount of (await readMounts()).toReversed())
    if (mount.path.startsWith(stateDir)) execFileSync('umount', ['-l', mount.path]);
  catalog[Symbol.dispose]();
  // Fails on entries that cannot have flags.
  spawnSync('chattr', ['-R', '-f', '-i', stateDir]);
  await rm(stateDir, { recursive: true, force: true });
});

const program = join(import.meta.dirname, '../support/migrate-and-die.ts');

type Texts = Record<string, string>;

interface More extends Partial<MigrationSteps> {
  /** Called after each copy, before the comparison. */
  readonly spoil?: (places: MigrationPlaces) => void;
}

/** Seeds, then copies the rest and proves it, as the command does; `more` changes something in between. */
function copying(more: More = {}): MigrationSteps {
  let mirror: TreeMirror | undefined;
  return {
    async seed(places: SeedPlaces) {
      mirror = new TreeMirror(fromText(places.from), fromText(places.to), {
        onProgress: () => more.spoil?.(places),
      });
      await mirror.pass({ isStill: false });
      await more.seed?.(places);
    },
    makeStill: more.makeStill ?? (async () => ({ [Symbol.asyncDispose]: async () => undefined })),
    async finish(places) {
      await more.finish?.(places);
      await mirror?.pass({ isStill: true });
    },
  };
}

const migrate = (driver: string, options: Texts = {}, more: More = {}) =>
  managed.migrate('pg', { driver, options }, { steps: copying(more) });

/** Examines the data as a container would see it. */
async function whileMounted<T>(look: (root: string) => T | Promise<T>, name = 'pg'): Promise<T> {
  const root = await managed.mount(name, 'test');
  try {
    return await look(root);
  } finally {
    await managed.unmount(name, 'test');
  }
}

const facts = (name?: string): Promise<string[]> =>
  whileMounted((root) => treeFacts(root, { without: ['holes'] }), name);

async function makeVolume(options: Texts = {}): Promise<void> {
  await managed.create({ name: 'pg', driver: '', labels: { tier: 'db' }, options });
  await whileMounted((root) => {
    mkdirSync(join(root, 'base/1'), { recursive: true, mode: 0o700 });
    writeFileSync(join(root, 'base/1/data'), Buffer.alloc(3_000_000, 'data'));
    writeFileSync(join(root, 'PG_VERSION'), '16\n');
    execFileSync('chown', ['-R', '999:998', root]);
  });
}

/**
 * Nothing of a migration is left: no mount, no folder but the volume's own, and in the trash only the
 * expected entries.
 */
async function expectTidy(trashed: number): Promise<void> {
  await managed.reconcile();
  expect((await readMounts()).filter(({ path }) => path.startsWith(stateDir))).toEqual([]);
  expect(readdirSync(join(stateDir, 'volumes'))).toEqual(['pg']);
  expect(readdirSync(join(stateDir, 'trash'))).toHaveLength(trashed);
  expect(await managed.listTrash()).toHaveLength(trashed);
  const own = readdirSync(join(stateDir, 'volumes/pg'));
  for (const mark of ['migrating.json', 'trashed.json', 'outside']) expect(own).not.toContain(mark);
}

test('a volume goes from driver to driver and back with everything that it is', async () => {
  await using pool = mountLoopFilesystem('btrfs');
  await makeVolume();
  await managed.protect('pg', true);
  const before = await managed.find('pg');
  const data = await facts();
  const image = join(stateDir, 'block.img');
  const ways: [string, Texts][] = [
    ['local', { size: '32m' }],
    ['gocryptfs', {}],
    ['btrfs', { pool: pool.path }],
    ['block', { device: image, size: '64m', format: 'true' }],
    ['local', { size: '48m', fs: 'ext4' }],
    ['local', {}],
  ];
  for (const [index, [driver, options]] of ways.entries()) {
    const volume = await migrate(driver, options);
    expect(volume).toEqual({ ...before, driver, kind: driver, options, isMounted: volume.isMounted });
    expect(await facts(), driver).toEqual(data);
    await expectTidy(index + 1);
  }
  await managed.emptyTrash('all');
  expect(await facts()).toEqual(data);
});

test('copied data is on the disk below the new storage while the volume is in use', async () => {
  await makeVolume();
  const [before, after] = [Buffer.from('copied before. '), Buffer.from('copied after. ')];
  let onDisk: boolean[] = [];
  const seed = async ({ to, writeDown }: SeedPlaces): Promise<void> => {
    const image = join(dirname(to), 'image');
    writeFileSync(join(to, 'before'), before);
    await writeDown();
    writeFileSync(join(to, 'after'), after);
    const bytes = readFileSync(image);
    onDisk = [bytes.includes(before), bytes.includes(after)];
    for (const name of ['before', 'after']) rmSync(join(to, name));
  };
  await migrate('local', { size: '32m' }, { seed });
  expect(onDisk).toEqual([true, false]);
});

test('unusual entries arrive unchanged, and what the storage cannot hold keeps the volume where it is', async () => {
  await managed.create({ name: 'pg', driver: '', labels: {}, options: {} });
  await whileMounted((root) => makeHostileTree(join(root, 'hostile'), { socket: true }));
  const data = await facts();
  await migrate('local', { size: '64m' });
  expect(await facts()).toEqual(data);
  await expect(migrate('gocryptfs')).rejects.toMatchObject({ code: 'unsupported' });
  expect(await managed.find('pg')).toMatchObject({ options: { size: '64m' } });
  expect(await facts()).toEqual(data);
  await expectTidy(1);
});

test('everything that a program writes during the copy arrives, to its last line', async () => {
  await makeVolume();
  const root = await managed.mount('pg', 'docker:::writer');
  const script =
    'i=0; while :; do i=$((i+1)); echo $i >> log; echo $i > new; mv new "f$((i%50))"; [ $((i%7)) = 0 ] && rm -f "f$((i%13))"; [ $((i%11)) = 0 ] && { rm -rf d; mkdir -p d/e; ln log d/e/log; }; done';
  const writer = spawn('sh', ['-c', script], { cwd: root, stdio: 'ignore', detached: true });
  const ended = once(writer, 'exit');
  let passes = 0;
  await managed.migrate(
    'pg',
    { driver: 'local', options: { size: '64m' } },
    {
      steps: (() => {
        let mirror: TreeMirror | undefined;
        return {
          async seed({ from, to }) {
            mirror = new TreeMirror(fromText(from), fromText(to));
            for (; passes < 6; passes++) await mirror.pass({ isStill: false });
            await mirror.proveNames();
          },
          async makeStill() {
            // Together with the program that the shell has just started, which would continue by itself.
            process.kill(-(writer.pid ?? 0), 'SIGKILL');
            await ended;
            await managed.unmount('pg', 'docker:::writer');
            return { [Symbol.asyncDispose]: async () => undefined };
          },
          async finish() {
            await mirror?.pass({ isStill: true });
          },
        } satisfies MigrationSteps;
      })(),
    },
  );
  const [kept] = await managed.listTrash();
  await managed.restoreTrash(kept?.id ?? '', { to: 'before' });
  const lines = await whileMounted(
    (path) => readFileSync(join(path, 'log'), 'utf8').split('\n').length,
    'before',
  );
  expect(lines).toBeGreaterThan(10);
  expect(await facts()).toEqual(await facts('before'));
});

describe('a migration that is killed', () => {
  const isDecided = new Set<string>(['exchanged', 'recorded', 'released']);

  test.each(deadlyMoments)(
    'when it is %s is settled by the next start, one way or the other',
    async (moment) => {
      await makeVolume();
      const data = await facts();
      const options = JSON.stringify({ size: '32m' });
      const { signal, stderr } = spawnSync(
        process.execPath,
        [program, stateDir, 'pg', moment, 'local', options],
        {
          encoding: 'utf8',
        },
      );
      expect(signal, stderr).toBe('SIGKILL');
      await reopen();
      const isMoved = isDecided.has(moment);
      expect(await managed.find('pg')).toMatchObject({ options: isMoved ? { size: '32m' } : {} });
      expect(await facts()).toEqual(data);
      await expectTidy(isMoved ? 1 : 0);
      await migrate('local', isMoved ? {} : { size: '32m' });
      expect(await facts()).toEqual(data);
    },
  );

  test.each(['still', 'exchanged', 'recorded', 'released'])(
    'on its way back when it is %s is settled by the next start, one way or the other',
    async (moment) => {
      await makeVolume();
      const data = await facts();
      await migrate('gocryptfs');
      await whileMounted((root) => writeFileSync(join(root, 'since'), 'since'));
      const since = await facts();
      const { signal } = spawnSync(process.execPath, [program, stateDir, 'pg', moment, 'back']);
      expect(signal).toBe('SIGKILL');
      await reopen();
      const isBack = isDecided.has(moment);
      expect(await managed.find('pg')).toMatchObject({ driver: isBack ? 'local' : 'gocryptfs' });
      expect(await facts()).toEqual(isBack ? data : since);
      await expectTidy(1);
      await managed.migrateBack('pg', { steps: { makeStill: copying().makeStill } });
      expect(await facts()).toEqual(isBack ? since : data);
    },
  );

  test('between the exchange and the record is finished by the next command that uses the volume, without a start', async () => {
    await makeVolume();
    const data = await facts();
    const killed = spawnSync(process.execPath, [program, stateDir, 'pg', 'exchanged', 'gocryptfs']);
    expect(killed.signal).toBe('SIGKILL');
    expect(existsSync(join(stateDir, 'volumes/pg/cipher'))).toBe(true);
    expect(await facts()).toEqual(data);
    expect(await managed.find('pg')).toMatchObject({ driver: 'gocryptfs' });
  });
});

describe('a migration that fails', () => {
  test('for lack of room leaves the volume unchanged', async () => {
    await makeVolume();
    await whileMounted((root) => writeFileSync(join(root, 'large'), Buffer.alloc(20 << 20, 'x')));
    const data = await facts();
    await expect(migrate('local', { size: '16m' })).rejects.toMatchObject({ code: 'full' });
    expect(await facts()).toEqual(data);
    await expectTidy(0);
  });

  test('as the disk below the new image fills up leaves the volume unchanged', async () => {
    await makeVolume();
    await whileMounted((root) => writeFileSync(join(root, 'large'), randomBytes(40 << 20)));
    const data = await facts();
    await using disk = mountLoopFilesystem('ext4', { sizeBytes: 32 << 20 });
    const image = join(disk.path, 'block.img');
    const run = migrate('block', { device: image, size: '200m', format: 'true' });
    await expect(run).rejects.toThrow(/./);
    expect(existsSync(image)).toBe(false);
    expect(await facts()).toEqual(data);
    await expectTidy(0);
  });

  test('as the copy is wrong leaves the volume unchanged', async () => {
    await makeVolume();
    const data = await facts();
    const spoil = ({ to }: MigrationPlaces): void => {
      if (existsSync(join(to, 'PG_VERSION'))) writeFileSync(join(to, 'PG_VERSION'), '17\n');
    };
    await expect(migrate('local', { size: '32m' }, { spoil })).rejects.toMatchObject({ code: 'integrity' });
    expect(await facts()).toEqual(data);
    await expectTidy(0);
  });

  test('as another process mounts the volume leaves it mounted', async () => {
    await makeVolume({ size: '32m' });
    const cancel = new AbortController();
    const root = await managed.mount('pg', 'somebody');
    const makeStill = async (): Promise<AsyncDisposable> => {
      cancel.abort();
      return { [Symbol.asyncDispose]: async () => undefined };
    };
    const run = managed.migrate(
      'pg',
      { driver: 'local', options: {} },
      { steps: copying({ makeStill }), signal: cancel.signal },
    );
    await expect(run).rejects.toMatchObject({ code: 'cancelled' });
    expect(readFileSync(join(root, 'PG_VERSION'), 'utf8')).toBe('16\n');
    await managed.unmount('pg', 'somebody');
    await expectTidy(0);
  });

  test('leaves nothing on an image that was created for it, and nothing on an existing one', async () => {
    await makeVolume();
    const image = join(stateDir, 'block.img');
    const give: Partial<MigrationSteps> = { finish: () => Promise.reject(new Error('enough')) };
    const options = { device: image, size: '64m', format: 'true' };
    await expect(migrate('block', options, give)).rejects.toThrow('enough');
    expect(existsSync(image)).toBe(false);
    execFileSync('truncate', ['-s', '64m', image]);
    execFileSync('mkfs.ext4', ['-q', image]);
    for (let attempt = 0; attempt < 2; attempt++)
      await expect(migrate('block', { device: image }, give)).rejects.toThrow('enough');
    await migrate('block', { device: image });
    await expectTidy(1);
  });

  test('touches nothing that is on the new storage already', async () => {
    await makeVolume();
    const image = join(stateDir, 'block.img');
    const options = { device: image, size: '64m', format: 'true' };
    await managed.create({ name: 'other', driver: 'block', labels: {}, options });
    await whileMounted((root) => writeFileSync(join(root, 'mine'), 'mine'), 'other');
    await expect(migrate('block', { device: image })).rejects.toMatchObject({ code: 'conflict' });
    await managed.remove('other');
    await expect(migrate('block', { device: image })).rejects.toMatchObject({
      code: 'conflict',
      detail: 'mine',
    });
    await managed.restoreTrash('other');
    expect(await whileMounted((root) => readdirSync(root), 'other')).toContain('mine');
  });
});

test('the way back has the old data, and the way forth again what was written since', async () => {
  await makeVolume();
  const data = await facts();
  await migrate('gocryptfs');
  await whileMounted((root) => writeFileSync(join(root, 'since'), 'since'));
  const since = await facts();
  const back = { steps: { makeStill: copying().makeStill } };
  await managed.migrateBack('pg', back);
  expect(await managed.find('pg')).toMatchObject({ driver: 'local', labels: { tier: 'db' } });
  expect(await facts()).toEqual(data);
  await expectTidy(1);
  await managed.migrateBack('pg', back);
  expect(await managed.find('pg')).toMatchObject({ driver: 'gocryptfs' });
  expect(await facts()).toEqual(since);
  await expectTidy(1);
  await managed.emptyTrash('all');
  await expect(managed.migrateBack('pg', back)).rejects.toMatchObject({ code: 'not-found' });
  expect(await facts()).toEqual(since);
});

test('a process that is started once it has moved, or has not, mounts it at once', async () => {
  await makeVolume();
  const seen: string[][] = [];
  const makeStill = async (): Promise<AsyncDisposable> => ({
    async [Symbol.asyncDispose]() {
      const root = await managed.mount('pg', 'started', { signal: AbortSignal.timeout(60_000) });
      seen.push(readdirSync(root).sort());
      await managed.unmount('pg', 'started');
    },
  });
  await migrate('gocryptfs', {}, { makeStill });
  await expect(migrate('local', { size: '1m' }, { makeStill })).rejects.toMatchObject({ code: 'usage' });
  const finish = (): never => {
    throw new Error('enough');
  };
  await expect(migrate('local', { size: '32m' }, { makeStill, finish })).rejects.toThrow('enough');
  await managed.migrateBack('pg', { steps: { makeStill } });
  expect(seen).toEqual([1, 2, 3].map(() => ['PG_VERSION', 'base']));
});

test('an open write access prevents the move, and a read access over it ends with a conflict', async () => {
  await makeVolume();
  const writing = await host.openData('pg', { write: true });
  await expect(managed.remove('pg')).rejects.toMatchObject({ code: 'in-use' });
  await writing[Symbol.asyncDispose]();
  const reading = await host.openData('pg');
  await migrate('local', { size: '32m' });
  await expect(Promise.resolve(reading[Symbol.asyncDispose]())).rejects.toMatchObject({ code: 'conflict' });
});

test('a failed way back leaves the volume, and its previous state in the trash', async () => {
  await makeVolume();
  await migrate('local', { size: '32m' });
  const data = await facts();
  const makeStill = (): Promise<AsyncDisposable> => Promise.reject(new Error('it does not stop'));
  await expect(managed.migrateBack('pg', { steps: { makeStill } })).rejects.toThrow('it does not stop');
  expect(await facts()).toEqual(data);
  await expectTidy(1);
});

test('storage that it cannot move to is refused before anything is touched', async () => {
  await makeVolume();
  const settings: [string, Texts, string][] = [
    ['local', {}, 'usage'],
    ['local', { mode: '0700' }, 'usage'],
    ['tmpfs', {}, 'unsupported'],
    ['floppy', {}, 'unsupported'],
    ['local', { size: 'much' }, 'usage'],
  ];
  for (const [driver, options, code] of settings)
    await expect(managed.checkMigration('pg', { driver, options }), driver).rejects.toMatchObject({ code });
  await managed.create({ name: 'fleeting', driver: 'tmpfs', labels: {}, options: {} });
  await expect(managed.checkMigration('fleeting', { driver: 'local', options: {} })).rejects.toMatchObject({
    code: 'unsupported',
  });
});
