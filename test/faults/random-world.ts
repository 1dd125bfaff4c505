import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { App } from '../../src/app/app.ts';
import { openApp } from '../../src/app.ts';
import { isAppError } from '../../src/model/errors.ts';
import { runCommand, type RunResult } from '../../scripts/run-command.ts';
import { makeKeyCheap, passwordIn } from '../support/cheap-key.ts';
import { treeFacts } from '../support/tree-facts.ts';
import { type FaultyStore, startFaultyStore } from './faulty-store.ts';
import { makeData } from './living-data.ts';
import type { Dice } from './seeded.ts';

export const works = ['backup', 'forget', 'prune', 'copy', 'restore', 'check'] as const;
export type Work = (typeof works)[number];

export interface WorkEnd {
  readonly isDone: boolean;
  /** For a backup that reports success. */
  readonly saved?: string | undefined;
  /** For a forget that reports success. */
  readonly removed?: readonly string[] | undefined;
  readonly message?: string | undefined;
}

/**
 * A directory that changes, a repository and a second one behind failing stores, and the expected content of
 * each snapshot.
 */
export class RandomWorld implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'random-'));
  readonly source = join(this.folder, 'source');
  readonly stateDir = join(this.folder, 'state');
  readonly repository = join(this.folder, 'repository');
  readonly second = join(this.folder, 'second');
  readonly facts = new Map<string, readonly string[]>();
  readonly #random: Dice;
  readonly #stores = new Map<string, FaultyStore>();

  constructor(random: Dice) {
    this.#random = random;
  }

  async prepare(): Promise<void> {
    mkdirSync(this.source);
    makeData(this.source, { folders: 2, filesInEach: 6, largeBytes: 1_500_000 }, this.#random);
    for (const [name, folder] of [
      ['main', this.repository],
      ['second', this.second],
    ] as const) {
      mkdirSync(folder);
      const store = await startFaultyStore(folder);
      this.#stores.set(name, store);
      await using app = this.open();
      await app.repositories.add({
        name,
        location: `rest:${store.url}`,
        options: { 'retry-for': '1s' },
        makeDefault: name === 'main',
        chunkerFrom: name === 'main' ? undefined : { repository: 'main', passwordReference: undefined },
      });
      await makeKeyCheap(folder, passwordIn(join(this.stateDir, 'keys', `${name}.key`)));
    }
    for (let i = 0; i < 3; i++) await this.expectSaved();
  }

  store(name: 'main' | 'second'): FaultyStore {
    const store = this.#stores.get(name);
    if (store === undefined) throw new Error(`There is no store ${name}`);
    return store;
  }

  open(repository: 'main' | 'second' = 'main'): App {
    const { stateDir } = this;
    const none = { configFile: undefined, passwordReference: undefined };
    const known = this.#stores.size === 0 || !this.#stores.has(repository) ? undefined : repository;
    return openApp({
      stateDir,
      host: 'embedded',
      dataWay: 'auto',
      repository: known,
      env: process.env,
      ...none,
    });
  }

  get environment(): NodeJS.ProcessEnv {
    return { ...process.env, HOLDFAST_STATE_DIR: this.stateDir, HOLDFAST_HOST: 'embedded' };
  }

  /** restic on the folder itself, without the failing store. */
  async restic(...args: string[]): Promise<RunResult> {
    const key = join(this.stateDir, 'keys/main.key');
    return await runCommand('restic', ['-r', this.repository, '-p', key, '--no-cache', ...args], {
      env: process.env,
    });
  }

  /** Makes small changes, with data that no snapshot has yet. */
  change(): void {
    const random = this.#random;
    for (let i = 0; i < 3; i++)
      writeFileSync(
        join(this.source, `folder-${random.between(0, 2)}`, `file-${random.between(0, 9)}`),
        random.bytes(5000),
      );
    const fd = openSync(join(this.source, 'large'), 'r+');
    writeSync(fd, random.bytes(300_000), 0, 300_000, random.between(0, 1_200_000));
    closeSync(fd);
  }

  /** Runs a work in this process. Whatever it throws must be a readable error. */
  async work(work: Work, signal?: AbortSignal): Promise<WorkEnd> {
    await using app = this.open();
    await app.recoverAtStart('host');
    try {
      return await this.#tryTo(app, work, signal);
    } catch (error) {
      if (!isAppError(error)) throw error;
      return { isDone: false, message: `${error.code}: ${error.message}` };
    }
  }

  async #tryTo(app: App, work: Work, signal: AbortSignal | undefined): Promise<WorkEnd> {
    if (work === 'backup') {
      const request = { targets: [this.source], all: false, stacks: [], dryRun: false };
      const [outcome] = (await app.backup.run(request, { signal })).outcomes;
      return {
        isDone: outcome?.outcome === 'good',
        saved: outcome?.outcome === 'good' ? outcome.snapshot?.id : undefined,
        message: outcome?.error?.message,
      };
    }
    if (work === 'forget') {
      const rules = { last: this.#random.between(3, 6) };
      const request = { targets: [], tags: [], rules, keepVerified: undefined, allowEmpty: false };
      const { removed } = await app.retention.applyForget(
        await app.retention.planForget(request, { signal }),
        { signal },
      );
      return { isDone: true, removed };
    }
    if (work === 'prune') {
      await app.retention.prune(
        { maxUnused: { kind: 'percent', percent: 0 }, maxRepackBytes: undefined },
        { signal },
      );
      return { isDone: true };
    }
    if (work === 'copy') {
      const to = { repository: 'second', passwordReference: undefined };
      const { failed } = await app.repositories.copy({ to, references: [], dryRun: false }, { signal });
      return { isDone: failed.length === 0, message: failed[0]?.message };
    }
    if (work === 'restore') {
      await this.expectRestores(app, this.#random.pick([...this.facts.keys()]), { signal });
      return { isDone: true };
    }
    const { errors } = await app.proof.check({ readDataPercent: 100 }, { signal });
    return { isDone: errors.length === 0, message: errors[0] };
  }

  /** Restores a snapshot; the result is exactly what was saved, or nothing. */
  async expectRestores(
    app: App,
    id: string,
    {
      facts = this.facts.get(id),
      signal,
    }: { facts?: readonly string[] | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    const target = join(this.folder, 'restored');
    try {
      const request = { what: id, to: target, path: undefined, safetySnapshot: false };
      await app.restore.apply(await app.restore.plan(request, { signal }), { signal });
      if (treeFacts(target).join('\n') !== facts?.join('\n'))
        throw new Error(`Snapshot ${id} was restored as something else`);
    } finally {
      rmSync(target, { recursive: true, force: true });
    }
  }

  async expectSaved(): Promise<void> {
    this.change();
    const { saved, message } = await this.work('backup');
    if (saved === undefined) throw new Error(`Without a fault, a backup failed: ${message ?? ''}`);
    this.facts.set(saved, treeFacts(this.source));
  }

  /** A copy of the repository, to return to after permanent damage. */
  keep(): void {
    execFileSync('rm', ['-rf', `${this.repository}-kept`]);
    execFileSync('cp', ['-a', this.repository, `${this.repository}-kept`]);
  }

  goBack(): void {
    execFileSync('rm', ['-rf', this.repository]);
    execFileSync('cp', ['-a', `${this.repository}-kept`, this.repository]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const store of this.#stores.values()) await store[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
