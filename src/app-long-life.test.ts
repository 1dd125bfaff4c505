import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { App, AppConfig } from './app/app.ts';
import { openApp } from './app.ts';

let folder: string;

beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'holdfast-again-'))));
afterEach(() => rmSync(folder, { recursive: true }));

test('an App finds an engine that was absent at its first call, and one that was restarted', async () => {
  const socketPath = join(folder, 'engine.sock');
  await using app = await open({ host: 'docker', env: { DOCKER_HOST: `unix://${socketPath}` } });
  await expect(list(app)).rejects.toMatchObject({ code: 'unavailable' });
  for (const name of ['first', 'second']) {
    await using _engine = await startEngine(socketPath, name);
    expect(await list(app)).toEqual([name]);
  }
  await expect(list(app)).rejects.toMatchObject({ code: 'unavailable' });
});

test('an App finds a repository that was made after its first call, and one that was unreachable', async () => {
  const location = join(folder, 'repository');
  const known = { repository: location, passwordReference: 'env:P', env: { P: 'p' } };
  await using app = await open(known);
  await expect(app.snapshots.list({})).rejects.toMatchObject({ code: 'not-found' });
  {
    await using other = await open({ ...known, stateDir: join(folder, 'other') });
    await other.repositories.init();
  }
  expect(await app.snapshots.list({})).toEqual([]);
  renameSync(location, `${location}.away`);
  await expect(app.snapshots.list({})).rejects.toMatchObject({ code: 'not-found' });
  renameSync(`${location}.away`, location);
  expect(await app.snapshots.list({})).toEqual([]);
});

test('an App whose catalog could not be opened opens it at a later call', async () => {
  const catalog = join(folder, 'state', 'catalog.db');
  mkdirSync(catalog, { recursive: true });
  await using app = await open({});
  await expect(app.repositories.list()).rejects.toThrow('catalog.db');
  rmSync(catalog, { recursive: true });
  expect(await app.repositories.list()).toEqual([]);
});

test('an App that could not recover because of its state folder returns its volumes once it has recovered', async () => {
  const journal = join(folder, 'state', 'journal');
  mkdirSync(join(folder, 'state'));
  writeFileSync(journal, 'no folder');
  await using app = await open({ host: 'embedded' });
  await expect(list(app)).rejects.toThrow('journal');
  rmSync(journal);
  expect(await list(app)).toEqual([]);
});

test('a policy that cannot be run where nothing can be recovered is told as a backup that failed', async () => {
  const configFile = join(folder, 'holdfast.yaml');
  const file = join(folder, 'app.conf');
  writeFileSync(file, 'content');
  writeFileSync(configFile, `policies: { one: { paths: '${file}' } }\n`);
  const known = { repository: join(folder, 'repository'), passwordReference: 'env:P', env: { P: 'p' } };
  await using app = await open({ ...known, configFile, host: 'embedded' });
  await app.repositories.init();
  writeFileSync(join(folder, 'state', 'journal'), 'no folder');
  const { backups } = await app.policies.run({ name: 'one', dryRun: false });
  expect(backups).toMatchObject([{ outcome: 'failed' }]);
  expect(await app.activity.listLog({})).toContainEqual(
    expect.objectContaining({
      kind: 'backup',
      outcome: 'failed',
      message: expect.stringContaining('journal'),
    }),
  );
});

test('an App takes its configuration again when the file has been mended', async () => {
  const configFile = join(folder, 'holdfast.yaml');
  writeFileSync(configFile, 'polices: {}\n');
  await using app = await open({ configFile });
  await expect(app.volumes.onHost()).rejects.toMatchObject({ code: 'usage' });
  writeFileSync(configFile, 'host: embedded\n');
  expect(await list(app)).toEqual([]);
});

test('the long works of an App are jobs: under way while they run, with their outcome afterwards', async () => {
  const file = join(folder, 'app.conf');
  writeFileSync(file, 'content');
  const known = { repository: join(folder, 'repository'), passwordReference: 'env:P', env: { P: 'p' } };
  await using app = await open({ ...known, host: 'embedded' });
  await app.repositories.init();
  const backup = { all: false, stacks: [], dryRun: false };
  const saved = app.backup.run({ ...backup, targets: [file] });
  expect(app.jobs.list()).toMatchObject([{ kind: 'backup', subjects: [file], state: 'running' }]);
  await saved;
  await app.backup.run({ ...backup, targets: [join(folder, 'missing')] }).catch(() => undefined);
  const check = app.proof.check({ readDataPercent: 100 });
  app.jobs.cancel(app.jobs.list().at(-1)?.id ?? '');
  await expect(check).rejects.toMatchObject({ code: 'cancelled' });
  expect(app.jobs.list()).toMatchObject([
    { kind: 'backup', state: 'good' },
    { kind: 'backup', state: 'failed' },
    { kind: 'check', state: 'cancelled' },
  ]);
});

async function list(app: App): Promise<string[]> {
  return (await (await app.volumes.onHost()).list()).map(({ name }) => name);
}

async function open(more: Partial<AppConfig>): Promise<App> {
  const stateDir = join(folder, 'state');
  const repository = undefined;
  const app = openApp({
    stateDir,
    repository,
    host: undefined,
    dataWay: 'auto',
    passwordReference: undefined,
    env: {},
    ...more,
  });
  // What cannot be recovered yet is recovered when it is asked for.
  await app.recoverAtStart('host');
  return app;
}

/** A fake engine that has one volume. */
async function startEngine(socketPath: string, volume: string): Promise<AsyncDisposable> {
  const server = createServer((request, response) => {
    const answers: Readonly<Record<string, unknown>> = {
      '/_ping': 'OK',
      '/info': { ID: 'the-engine' },
      '/volumes': { Volumes: [{ Name: volume, Driver: 'local', Labels: {}, Options: {} }] },
    };
    const path = (request.url ?? '').replace(/^\/v1\.\d+/, '');
    response.writeHead(200, { 'Api-Version': '1.44' }).end(JSON.stringify(answers[path] ?? []));
  });
  server.listen(socketPath);
  await once(server, 'listening');
  return {
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
