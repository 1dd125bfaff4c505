import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { openSqliteCatalog } from '../catalog/sqlite-catalog.ts';
import type { Host, StreamData } from '../hosts/host.ts';
import { readTar } from '../lib/tar/read-tar.ts';
import { writeTar } from '../lib/tar/write-tar.ts';
import type { Entry } from '../model/entry.ts';
import { AppError } from '../model/errors.ts';
import { someVolume } from '../model/some-volume.fixture.ts';
import { openFreshRepository, type TestRepository } from '../repository/open-repository.fixture.ts';
import { backup } from './backup.ts';
import { prepareForget } from './forget.ts';
import type { Protection } from './protection.ts';
import { openAuditLog } from './log/open-audit-log.ts';
import { openNotifier } from './notify/open-notifier.ts';
import { planRestore } from './restore-plan.ts';
import { applyRestore } from './restore.ts';
import { settleAll } from './settle.ts';
import { recoverStreamed } from './recover-streamed.ts';
import { findStreamed } from './streamed-journal.ts';

const base = { mode: 0o644, uid: 0, gid: 0, mtimeNs: 1_700_000_000_000_000_000n, size: 0 };

/** An engine whose data comes as streams only, and that fails when it is told to. */
class StreamingEngine {
  readonly volumes = new Map<string, Buffer>();
  failures: string[] = [];
  identity = 'engine';
  /** It has died before it removed a volume. */
  keeps = false;

  async put(name: string, text: string): Promise<void> {
    const root: Entry = { ...base, path: '', type: 'dir', mode: 0o755 };
    const file: Entry = { ...base, path: 'file', type: 'file', size: text.length };
    const open = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from(text);
    };
    this.volumes.set(
      name,
      await collect(writeTar(text === '' ? [{ entry: root }] : [{ entry: root }, { entry: file, open }])),
    );
  }

  async textOf(name: string): Promise<string | undefined> {
    let text = '';
    const tar = this.volumes.get(name);
    if (!tar) return undefined;
    for await (const { entry, body } of readTar(once(tar)))
      if (entry.path === 'file') text = (await collect(body)).toString();
    return text;
  }

  asHost(): Host {
    return {
      kind: 'docker',
      containers: undefined,
      info: async () => ({
        kind: 'docker',
        identity: this.identity,
        name: 'far',
        version: '1',
        endpoint: 'tcp://far',
      }),
      listVolumes: async () => [...this.volumes.keys()].map((name) => someVolume(name)),
      findVolume: async (name) => (this.volumes.has(name) ? someVolume(name) : undefined),
      createVolume: async ({ name = '' }) => {
        this.#failAt('create');
        await this.put(name, '');
        return someVolume(name);
      },
      removeVolume: async (name) => {
        if (this.keeps) throw new AppError('unavailable', 'The engine is away');
        if (!this.volumes.delete(name)) throw new AppError('not-found', `There is no volume "${name}"`);
      },
      listMounts: async () => [],
      openData: async (name) => this.#open(name),
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  #open(name: string): StreamData {
    return {
      way: 'stream',
      limits: [],
      readTar: async () => once(this.volumes.get(name) ?? Buffer.alloc(0)),
      writeTar: async (_path, tar) => {
        const bytes = await collect(tar);
        if (this.failures[0] === 'write') await this.put(name, 'half');
        this.#failAt('write');
        this.volumes.set(name, bytes);
      },
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  #failAt(step: string): void {
    if (this.failures[0] !== step) return;
    this.failures.shift();
    throw new AppError('unavailable', `The engine failed at "${step}"`);
  }
}

async function* once(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(new Uint8Array(chunk));
  return Buffer.concat(parts);
}

const all = { targets: ['far'], all: false, stacks: [], tags: [], excludes: [], dryRun: false };

let engine: StreamingEngine;
let opened: TestRepository;
let parts: Protection;

beforeEach(async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'streamed-'));
  const catalog = openSqliteCatalog(':memory:');
  engine = new StreamingEngine();
  opened = await openFreshRepository();
  parts = {
    stateDir,
    hostname: 'here',
    now: Date.now,
    catalog: async () => catalog,
    host: async () => engine.asHost(),
    repository: async () => opened.repository,
    log: async () => openAuditLog({ stateDir, now: Date.now, env: {}, catalog: async () => catalog }),
    notifier: async () =>
      openNotifier({ ...parts, repository: undefined, channels: async () => [], env: {} }),
  };
  await engine.put('far', 'saved');
  expect((await backup(parts, all, {})).outcomes[0]?.outcome).toBe('good');
  await engine.put('far', 'newer');
  return async () => {
    await opened[Symbol.asyncDispose]();
    catalog[Symbol.dispose]();
    rmSync(stateDir, { recursive: true });
  };
});

async function restore(): Promise<unknown> {
  const request = { what: 'far', to: undefined, path: undefined, safetySnapshot: true };
  return await applyRestore(parts, await planRestore(parts, request, {}), {});
}

test('a volume behind an engine is replaced as a whole', async () => {
  await restore();
  expect(await engine.textOf('far')).toBe('saved');
});

test.each([[['create']], [['write']]])(
  'when the engine fails once, at %j, what was there is put back',
  async (failures) => {
    engine.failures = [...failures];
    await expect(restore()).rejects.toMatchObject({
      message: expect.stringContaining('The engine failed at'),
    });
    expect(await engine.textOf('far')).toBe('newer');
  },
);

test.each([[['create', 'create']], [['write', 'write']], [['write', 'create']]])(
  'when it goes on failing, at %j, the error names the snapshot that holds what was there',
  async (failures) => {
    engine.failures = [...failures];
    const error: unknown = await restore().catch((thrown: unknown) => thrown);
    const safety = (await opened.repository.listSnapshots()).find(({ tags }) =>
      tags.includes('before-restore'),
    );
    expect(safety).toBeDefined();
    expect(error).toMatchObject({
      code: 'failed',
      message: 'Cannot restore "far", and could not put back what was in it',
      hint: expect.stringContaining(`holdfast restore far@${safety?.id.slice(0, 8)}`),
    });
  },
);

describe('what a restore leaves that never came to its end', () => {
  /** With the engine failing until the restore gives up, as a kill would leave it. */
  async function restoreInHalf(failures: readonly string[]): Promise<void> {
    engine.failures = [...failures];
    await expect(restore()).rejects.toThrow('could not put back');
  }

  async function notes(): Promise<string[]> {
    const told: string[] = [];
    await settleAll(parts, { onNote: (note) => told.push(note) });
    return told;
  }

  async function backUp(): Promise<string | undefined> {
    const [outcome] = (await backup(parts, all, {})).outcomes;
    return outcome?.error?.message ?? outcome?.outcome;
  }

  test.each([[['create', 'create']], [['write', 'write']], [['write', 'create']]])(
    'is told at each start, kept out of backups, and undone by recover, after %j',
    async (failures) => {
      await restoreInHalf(failures);
      expect(await notes()).toEqual([expect.stringMatching(/"far" was interrupted.*"holdfast recover"/)]);
      if (engine.volumes.has('far')) expect(await backUp()).toMatch(/Cannot back up "far".*not whole/);
      expect(await recoverStreamed(parts, {})).toMatchObject([{ name: 'far', error: undefined }]);
      expect(await engine.textOf('far')).toBe('newer');
      expect(await notes()).toEqual([]);
      expect(await backUp()).toBe('good');
      expect(await recoverStreamed(parts, {})).toEqual([]);
    },
  );

  test('is over when the volume is restored again, and what was there before is what recover goes back to until then', async () => {
    await restoreInHalf(['write', 'write']);
    await restoreInHalf(['write', 'write']);
    expect(await recoverStreamed(parts, {})).toMatchObject([{ name: 'far', error: undefined }]);
    expect(await engine.textOf('far')).toBe('newer');
    await restoreInHalf(['write', 'write']);
    await restore();
    expect(await engine.textOf('far')).toBe('saved');
    expect(await notes()).toEqual([]);
  });

  test('stays what it is while recover fails, or another repository or engine answers', async () => {
    await restoreInHalf(['write', 'write']);
    engine.failures = ['create', 'create'];
    expect(await recoverStreamed(parts, {})).toMatchObject([
      { name: 'far', error: expect.stringContaining('could not put back') },
    ]);
    engine.identity = 'another';
    expect(await recoverStreamed(parts, {})).toMatchObject([
      { error: expect.stringContaining('another engine') },
    ]);
    engine.identity = 'engine';
    const other = await openFreshRepository();
    try {
      expect(await recoverStreamed({ ...parts, repository: async () => other.repository }, {})).toMatchObject(
        [{ error: expect.stringContaining(`--repo ${opened.location}`) }],
      );
    } finally {
      await other[Symbol.asyncDispose]();
    }
    expect(await notes()).toHaveLength(1);
    await recoverStreamed(parts, {});
    expect(await engine.textOf('far')).toBe('newer');
  });

  test('is needed: no rule forgets it', async () => {
    await restoreInHalf(['write', 'write']);
    const journal = await findStreamed(parts.stateDir, { hostIdentity: 'engine', name: 'far' });
    await restoreInHalf(['write', 'write']);
    const plan = await prepareForget(
      parts,
      { targets: [], tags: [], rules: { last: 1 }, keepVerified: 0, allowEmpty: true },
      {},
    );
    const fates = plan.groups.flatMap((group) => group.fates);
    expect(fates.find(({ snapshot }) => snapshot.id === journal?.safetyId)).toMatchObject({
      stays: true,
      reasons: ['"holdfast recover" needs it'],
    });
  });

  test('of a volume that was made for it goes with the volume, and is told until then', async () => {
    engine.volumes.delete('far');
    engine.failures = ['write'];
    engine.keeps = true;
    await expect(restore()).rejects.toThrow();
    expect(await notes()).toEqual([expect.stringMatching(/"far".*not whole.*volume rm far/)]);
    expect(await recoverStreamed(parts, {})).toMatchObject([
      { error: expect.stringMatching(/Nothing was in it before/) },
    ]);
    engine.volumes.delete('far');
    expect(await notes()).toEqual([]);
    expect(await recoverStreamed(parts, {})).toEqual([]);
  });
});
