import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { App, AppConfig } from './app/app.ts';
import { openApp } from './app.ts';
import { openSqliteCatalog } from './catalog/sqlite-catalog.ts';
import { openReplacement, type Replacement } from './restore/replacement.ts';
import { listJournals } from './restore/restore-journal.ts';

let stateDir: string;

beforeEach(() => void (stateDir = mkdtempSync(join(tmpdir(), 'holdfast-app-'))));
afterEach(() => rmSync(stateDir, { recursive: true }));

test('a killed restore is settled before its managed volumes are worked on, whichever host is chosen', async () => {
  const file = join(stateDir, 'volumes', 'data', '_data', 'file');
  {
    await using app = await open('embedded');
    await (await app.volumes.managed()).create({ name: 'data', driver: 'local', labels: {}, options: {} });
    writeFileSync(file, 'old');
  }
  await leaveHalfRestored(await stateId());
  expect(readFileSync(file, 'utf8')).toBe('new');
  await using app = await open(undefined);
  await app.volumes.managed();
  expect(readFileSync(file, 'utf8')).toBe('old');
  expect(await listJournals(stateDir)).toEqual([]);
});

test('what was restored on an engine is left to an App that uses that engine', async () => {
  {
    await using app = await open('embedded');
    await (await app.volumes.managed()).create({ name: 'data', driver: 'local', labels: {}, options: {} });
  }
  await leaveHalfRestored('an engine');
  await using app = await open(undefined);
  await app.volumes.managed();
  expect(await listJournals(stateDir)).toMatchObject([{ step: 'back' }]);
});

test('the host and its volumes are refused until killed work there is settled', async () => {
  await using app = openApp(config('embedded'));
  await expect(app.volumes.managed()).rejects.toThrow('killed work');
  await expect(app.volumes.onHost()).rejects.toThrow('killed work');
});

test('the host and its volumes are recovered in turn, so that neither is handed out while the other is at it', async () => {
  {
    await using app = await open('embedded');
    await (await app.volumes.managed()).create({ name: 'data', driver: 'local', labels: {}, options: {} });
  }
  await leaveHalfRestored(await stateId());
  writeFileSync(join(stateDir, 'holdfast.yaml'), 'host: embedded\n');
  await using app = openApp(config(undefined));
  const left = (['host', 'own'] as const).map(async (place) => {
    await app.recoverAtStart(place);
    return await listJournals(stateDir);
  });
  expect(await Promise.all(left)).toEqual([[], []]);
});

test('what cannot be brought to its end is told once by a process, however often it is found', async () => {
  {
    await using app = await open('embedded');
    await (await app.volumes.managed()).create({ name: 'data', driver: 'local', labels: {}, options: {} });
  }
  await leaveHalfRestored(await stateId());
  const [journal] = await listJournals(stateDir);
  rmSync(journal?.members[0]?.stage ?? '', { recursive: true });
  const told: string[] = [];
  await using app = openApp({ ...config(undefined), onWarning: (warning) => void told.push(warning) });
  await app.recoverAtStart('own');
  await app.recoverAtStart('host');
  expect(told).toEqual([expect.stringContaining('"data" cannot be put right')]);
  expect(await listJournals(stateDir)).toHaveLength(1);
});

test('an undo finds the data kept for a volume that was renamed, or came back from the trash under another name', async () => {
  const { root } = await keepOld();
  {
    await using app = await open('embedded');
    const managed = await app.volumes.managed();
    await managed.rename('data', 'renamed');
    await managed.create({ name: 'data', driver: 'local', labels: {}, options: {} });
  }
  {
    await using app = await open('embedded');
    expect((await app.restore.listUndo()).map(({ name }) => name)).toEqual(['renamed']);
    const managed = await app.volumes.managed();
    await managed.remove('renamed');
    expect(await app.restore.listUndo()).toEqual([]);
  }
  {
    await using app = await open('embedded');
    expect(await app.restore.listUndo()).toEqual([]);
    await (await app.volumes.managed()).restoreTrash('renamed', { to: 'back' });
  }
  await using app = await open('embedded');
  const plan = await app.restore.planUndo({ what: 'back' });
  await app.restore.applyUndo(plan);
  expect(readFileSync(join(dirname(dirname(root)), 'back', '_data', 'file'), 'utf8')).toBe('old');
  await app.restore.dropUndo({ what: 'back' });
  expect(readdirSync(join(stateDir, 'volumes', 'back'))).toEqual(['_data']);
});

test('anomalies are recorded for manual backups too, and for one that was killed before it was judged', async () => {
  const repository = join(stateDir, 'repository');
  const known = { env: { HOLDFAST_PASSWORD: 'p' }, passwordReference: 'env:HOLDFAST_PASSWORD', repository };
  const file = join(stateDir, 'volumes', 'data', '_data', 'file');
  const notes: string[] = [];
  const save = async (app: App, excludes: string[] = []): Promise<void> => {
    const request = { targets: ['data'], all: false, stacks: [], tags: [], excludes, dryRun: false };
    const { outcomes } = await app.backup.run(request, { onNote: (note) => notes.push(note) });
    expect(outcomes).toMatchObject([{ outcome: 'good' }]);
  };
  await using app = await recovered(openApp({ ...config('embedded'), ...known }));
  await (await app.volumes.managed()).create({ name: 'data', driver: 'local', labels: {}, options: {} });
  await app.repositories.init();
  writeFileSync(file, Buffer.alloc(8 << 20));
  await save(app);
  await save(app, ['*']);
  expect(anomalies()).toEqual([]);
  writeFileSync(file, 'little is left');
  await save(app);
  expect(anomalies()).toEqual(['shrank']);
  expect(notes.join()).toContain('"data" shrank from 8.4 MB');
  // As if that backup had been killed after it wrote its snapshot.
  {
    using database = new DatabaseSync(join(stateDir, 'catalog.db'));
    database.exec('DELETE FROM anomaly; DELETE FROM run WHERE number = (SELECT max(number) FROM run)');
  }
  await save(app);
  expect(anomalies()).toEqual(['shrank']);
});

test('a single file that was edited after it was saved for a restore is saved again', async () => {
  const [file, repository] = [join(stateDir, 'app.conf'), join(stateDir, 'repository')];
  writeFileSync(file, 'first');
  await using app = await recovered(openApp({ ...config('embedded'), repository }));
  await app.repositories.init();
  const request = { targets: [file], all: false, stacks: [], dryRun: false };
  const { outcomes } = await app.backup.run(request, {});
  const id = outcomes[0]?.snapshot?.id ?? '';
  const isSavedTwice = (): boolean => readdirSync(join(repository, 'snapshots')).length === 2;
  const plan = { path: undefined, safetySnapshot: true };
  writeFileSync(file, 'second');
  // Between the first look and the swap, as an application writes it while it stops.
  const editing = setInterval(() => {
    if (!isSavedTwice()) return;
    clearInterval(editing);
    writeFileSync(file, 'edited');
  }, 1);
  const report = await app.restore.apply(await app.restore.plan({ ...plan, what: id, to: undefined }));
  clearInterval(editing);
  expect(readFileSync(file, 'utf8')).toBe('first');
  const to = join(stateDir, 'safety');
  const safety = report.safetySnapshot?.id ?? '';
  await app.restore.apply(await app.restore.plan({ ...plan, what: safety, to }));
  expect(readFileSync(join(to, 'app.conf'), 'utf8')).toBe('edited');
});

function anomalies(): string[] {
  using catalog = openSqliteCatalog(join(stateDir, 'catalog.db'));
  return catalog.policies.listOpenAnomalies().map(({ kind }) => kind);
}

/** A restored volume, with its earlier data kept for an undo. */
async function keepOld(): Promise<{ readonly root: string }> {
  const root = join(stateDir, 'volumes', 'data', '_data');
  {
    await using app = await open('embedded');
    await (await app.volumes.managed()).create({ name: 'data', driver: 'local', labels: {}, options: {} });
  }
  writeFileSync(join(root, 'file'), 'old');
  await using replacement = await replace(await stateId(), '2999-01-01T00:00:00.000Z');
  await replacement.commit(new Date());
  return { root };
}

async function open(host: 'embedded' | undefined): Promise<App> {
  return await recovered(openApp(config(host)));
}

/** Recovers as a surface does before it works on managed volumes. */
async function recovered(app: App): Promise<App> {
  await app.recoverAtStart('own');
  return app;
}

function config(host: 'embedded' | undefined): AppConfig {
  return { stateDir, host, dataWay: 'auto', repository: undefined, passwordReference: undefined, env: {} };
}

async function stateId(): Promise<string> {
  using catalog = openSqliteCatalog(join(stateDir, 'catalog.db'));
  return catalog.stateId();
}

/**
 * The state that a restore leaves when it is killed after its containers failed to start, before it goes
 * back.
 */
async function leaveHalfRestored(hostIdentity: string): Promise<void> {
  await using replacement = await replace(hostIdentity);
  await replacement.giveUp();
  replacement.leave();
}

async function replace(hostIdentity: string, keepUntil?: string): Promise<Replacement> {
  const root = join(stateDir, 'volumes', 'data', '_data');
  const member = { kind: 'volume', name: 'data', identity: 'id', root, keepUntil } as const;
  const replacement = await openReplacement({
    stateDir,
    action: 'restore',
    hostIdentity,
    snapshotIds: [],
    members: [member],
  });
  const made = replacement.newPaths[0] ?? '';
  mkdirSync(made);
  writeFileSync(join(made, 'file'), 'new');
  await replacement.swap([]);
  return replacement;
}
