import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteCatalog } from '../catalog/sqlite-catalog.ts';
import type { Host, StreamData } from '../hosts/host.ts';
import { readTar } from '../lib/tar/read-tar.ts';
import { writeTar } from '../lib/tar/write-tar.ts';
import type { Entry } from '../model/entry.ts';
import { AppError } from '../model/errors.ts';
import { someVolume } from '../model/some-volume.fixture.ts';
import { openFreshRepository, type TestRepository } from '../repository/open-repository.fixture.ts';
import { backup } from '../backup/backup.ts';
import type { BackupOutcome } from '../backup/backup-types.ts';
import { openAuditLog } from '../activity/log/open-audit-log.ts';
import { openNotifier } from '../activity/notify/open-notifier.ts';
import type { Protection } from '../activity/protection.ts';
import { planRestore } from './restore-plan.ts';
import { applyRestore } from './restore.ts';
import { settleHeld } from './settle.ts';

const base = { mode: 0o644, uid: 0, gid: 0, mtimeNs: 1_700_000_000_000_000_000n, size: 0 };

/** An engine whose data comes as streams only, and that fails when it is told to. */
export class StreamingEngine {
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

/** A volume "far" of such an engine, that was saved when it held "saved", and holds "newer". */
export interface StreamedWorld extends AsyncDisposable {
  readonly engine: StreamingEngine;
  readonly opened: TestRepository;
  readonly parts: Protection;
}

export async function openStreamedWorld(): Promise<StreamedWorld> {
  await using stack = new AsyncDisposableStack();
  const stateDir = mkdtempSync(join(tmpdir(), 'streamed-'));
  stack.defer(() => rmSync(stateDir, { recursive: true }));
  const catalog = stack.use(openSqliteCatalog(':memory:'));
  const engine = new StreamingEngine();
  const opened = stack.use(await openFreshRepository());
  const parts: Protection = {
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
  await backUpFar(parts);
  await engine.put('far', 'newer');
  const opening = stack.move();
  return { engine, opened, parts, [Symbol.asyncDispose]: () => opening.disposeAsync() };
}

export async function backUpFar(parts: Protection): Promise<BackupOutcome | undefined> {
  const request = { targets: ['far'], all: false, stacks: [], tags: [], excludes: [], dryRun: false };
  const [outcome] = (await backup(parts, request, { settleRestore: settleHeld })).outcomes;
  return outcome;
}

export async function restoreFar(parts: Protection, what = 'far'): Promise<unknown> {
  const request = { what, to: undefined, path: undefined, safetySnapshot: true };
  return await applyRestore(parts, await planRestore(parts, request, {}), {});
}
