import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type HoldfastCommand, holdfastCommand } from '../support/holdfast-command.ts';
import { motoCredentials, type MotoServer, startMoto } from './moto-server.ts';

let folder: string;
let moto: MotoServer;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'repo-'));
  moto = await startMoto();
});
afterAll(async () => {
  await moto[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

let count = 0;
function newWorld(): { holdfast: HoldfastCommand; root: string } {
  const root = join(folder, `world-${++count}`);
  mkdirSync(root);
  writeFileSync(join(root, 'secret'), `${motoCredentials.secretAccessKey}\n`);
  mkdirSync(join(root, 'data'));
  writeFileSync(join(root, 'data/file'), 'content');
  return { holdfast: holdfastCommand(join(root, 'state'), { HF_KEY: motoCredentials.accessKeyId }), root };
}

interface Listed {
  readonly name: string;
  readonly isDefault: boolean;
  readonly location: string;
  readonly options?: Record<string, string>;
}

async function list(holdfast: HoldfastCommand): Promise<Listed[]> {
  return JSON.parse(await holdfast.run('repo', 'ls', '--format', 'json')) as Listed[];
}

describe('holdfast repo', () => {
  test('several repositories are kept by name, each with its own key, and one is the default', async () => {
    const { holdfast, root } = newWorld();
    const credentials = ['-o', 'access-key-id=env:HF_KEY', '-o', `secret-access-key=file:${root}/secret`];
    const location = `s3:${moto.endpoint}/bucket-a/x`;
    expect(await holdfast.run('repo', 'add', 'near', join(root, 'near'))).toContain('It is the default');
    expect(
      await holdfast.run('repo', 'add', 'offsite', location, ...credentials, '-o', 'connections=4'),
    ).toContain('--repo offsite');
    expect(await list(holdfast)).toMatchObject([
      { name: 'near', isDefault: true, location: join(root, 'near') },
      { name: 'offsite', isDefault: false, location, options: { connections: '4' } },
    ]);
    await holdfast.run('backup', join(root, 'data'));
    await holdfast.run('--repo', 'offsite', 'backup', join(root, 'data'));
    await holdfast.run('--repo', location, 'backup', join(root, 'data'));
    const states = JSON.parse(await holdfast.run('repo', 'check', '--format', 'json')) as {
      snapshots: number;
    }[];
    expect(states).toMatchObject([
      { name: 'near', snapshots: 1 },
      { name: 'offsite', snapshots: 2 },
    ]);

    await holdfast.run('repo', 'default', 'offsite');
    expect((await list(holdfast)).filter(({ isDefault }) => isDefault).map(({ name }) => name)).toEqual([
      'offsite',
    ]);
    expect(JSON.parse(await holdfast.run('snapshots', '--format', 'json'))).toHaveLength(2);
    const [one, other] = ['near', 'offsite'].map((name) =>
      readFileSync(join(root, 'state/keys', `${name}.key`), 'utf8'),
    );
    expect(one).not.toBe(other);
  });

  test('the catalog, the output and the log hold references, and no secret', async () => {
    const { holdfast, root } = newWorld();
    const credentials = ['-o', 'access-key-id=env:HF_KEY', '-o', `secret-access-key=file:${root}/secret`];
    const outputs = [
      await holdfast.attempt('repo', 'add', 'a', `s3:${moto.endpoint}/bucket-b`, ...credentials),
      await holdfast.attempt('repo', 'ls'),
      await holdfast.attempt('repo', 'ls', '--format', 'json'),
      await holdfast.attempt('repo', 'check'),
      await holdfast.attempt(
        'repo',
        'add',
        'b',
        `s3:${moto.endpoint}/bucket-b2`,
        '-o',
        `secret-access-key=${motoCredentials.secretAccessKey}`,
      ),
      await holdfast.attempt(
        'repo',
        'add',
        'c',
        `s3:http://x:${encodeURIComponent(motoCredentials.secretAccessKey)}@h/b`,
      ),
      await holdfast.attempt('repo', 'rm', 'a'),
    ];
    expect(outputs.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, 0, 2, 2, 0]);
    for (const { output } of outputs) {
      expect(output).not.toContain(motoCredentials.secretAccessKey);
      expect(output).not.toContain(encodeURIComponent(motoCredentials.secretAccessKey));
      expect(output).not.toContain(motoCredentials.accessKeyId);
    }
    const catalog = readFileSync(join(root, 'state/catalog.db'));
    expect(catalog.includes(motoCredentials.secretAccessKey)).toBe(false);
  });

  test('adding again changes the options, and keeps the repository', async () => {
    const { holdfast, root } = newWorld();
    const place = join(root, 'disk');
    await holdfast.run('repo', 'add', 'disk', place);
    await holdfast.run('backup', join(root, 'data'));
    expect(await holdfast.run('repo', 'add', 'disk', place, '-o', 'limit-upload=10MiB')).toContain(
      'Took over',
    );
    expect(await list(holdfast)).toMatchObject([
      { name: 'disk', isDefault: true, options: { 'limit-upload': '10MiB' } },
    ]);
    await holdfast.run('repo', 'add', 'disk', place);
    expect((await list(holdfast))[0]?.options).toEqual({ 'limit-upload': '10MiB' });
    expect(JSON.parse(await holdfast.run('snapshots', '--format', 'json'))).toHaveLength(1);
  });

  test('names and places are not taken twice, and names are no places', async () => {
    const { holdfast, root } = newWorld();
    await holdfast.run('repo', 'add', 'one', join(root, 'one'));
    expect(await holdfast.attempt('repo', 'add', 'one', join(root, 'two'))).toMatchObject({ exitCode: 1 });
    const again = await holdfast.attempt('repo', 'add', 'two', join(root, 'one'));
    expect(again.exitCode).toBe(1);
    expect(again.output).toContain('known already, as "one"');
    for (const name of ['', 'a/b', '.', 's3:x', '-x', 'a b', 'x'.repeat(65)])
      expect((await holdfast.attempt('repo', 'add', '--', name, join(root, 'three'))).exitCode).toBe(2);
    expect(await list(holdfast)).toHaveLength(1);
  });

  test('a repository is forgotten without losing anything, but never the default while there are others', async () => {
    const { holdfast, root } = newWorld();
    await holdfast.run('repo', 'add', 'one', join(root, 'one'));
    await holdfast.run('repo', 'add', 'two', join(root, 'two'));
    await holdfast.run('backup', join(root, 'data'));
    const refused = await holdfast.attempt('repo', 'rm', 'one');
    expect(refused.exitCode).toBe(1);
    expect(refused.output).toContain('holdfast repo default');
    await holdfast.run('repo', 'rm', 'two');
    await holdfast.run('repo', 'rm', 'one');
    expect(await list(holdfast)).toEqual([]);
    expect((await holdfast.attempt('snapshots')).exitCode).toBe(4);
    expect((await holdfast.attempt('repo', 'rm', 'one')).exitCode).toBe(4);
    // The repository's key still exists: it is taken over under the old name.
    expect(await holdfast.run('repo', 'add', 'one', join(root, 'one'))).toContain('Took over');
    expect(JSON.parse(await holdfast.run('snapshots', '--format', 'json'))).toHaveLength(1);
  });

  test('check names each missing, replaced or unreachable repository, and continues', async () => {
    const { holdfast, root } = newWorld();
    for (const name of ['gone', 'good', 'replaced'])
      await holdfast.run('repo', 'add', name, join(root, name));
    rmSync(join(root, 'gone'), { recursive: true });
    rmSync(join(root, 'replaced'), { recursive: true });
    const other = holdfastCommand(join(root, 'other-state'));
    await other.run(
      'init',
      '--repo',
      join(root, 'replaced'),
      '--password-file',
      join(root, 'state/keys/replaced.key'),
    );
    const checked = await holdfast.attempt('repo', 'check', '--format', 'json');
    expect(checked.exitCode).toBe(3);
    expect(JSON.parse(checked.stdout)).toMatchObject([
      { name: 'gone', error: { code: 'not-found' } },
      { name: 'good', snapshots: 0 },
      { name: 'replaced', error: { code: 'conflict' } },
    ]);
    expect((await holdfast.attempt('repo', 'check', 'good')).exitCode).toBe(0);
    expect((await holdfast.attempt('repo', 'check', 'gone')).exitCode).toBe(4);
    expect((await holdfast.attempt('repo', 'check', 'nobody')).exitCode).toBe(4);
  });

  test('an unreachable server is reported soon, and not after the long deadline', async () => {
    const { holdfast } = newWorld();
    const started = performance.now();
    const env = ['-o', 'access-key-id=env:HF_KEY', '-o', 'secret-access-key=env:HF_KEY'];
    const result = await holdfast.attempt(
      'repo',
      'add',
      'off',
      's3:http://127.0.0.1:1/bucket',
      ...env,
      '-o',
      'retry-for=2s',
    );
    expect(result.output).toContain('nothing listens there');
    expect(performance.now() - started).toBeLessThan(60_000);
    expect(await list(holdfast)).toEqual([]);
  });

  test('names are proposed to the shell', async () => {
    const { holdfast, root } = newWorld();
    for (const name of ['near', 'nearer', 'far']) await holdfast.run('repo', 'add', name, join(root, name));
    const proposed = await holdfast.run('__complete', 'repo', 'rm', 'ne');
    expect(proposed.trim().split('\n').toSorted()).toEqual(['near', 'nearer']);
  });
});

describe('the cache', () => {
  test('reads from the cache instead of a remote repository, while check bypasses it', async () => {
    const { holdfast, root } = newWorld();
    const credentials = ['-o', 'access-key-id=env:HF_KEY', '-o', `secret-access-key=file:${root}/secret`];
    await holdfast.run('repo', 'add', 'far', `s3:${moto.endpoint}/bucket-c`, ...credentials);
    await holdfast.run('backup', join(root, 'data'));
    const requests = (): string => moto.output();
    const before = requests().length;
    await holdfast.run('backup', join(root, 'data'));
    await holdfast.run('ls', `${join(root, 'data')}@latest`);
    const since = requests().slice(before);
    expect(since).not.toMatch(/"GET \/bucket-c\/(index|snapshots|data)\//);
    const later = requests().length;
    await holdfast.run('check');
    expect(requests().slice(later)).toMatch(/"GET \/bucket-c\/index\//);
  });
});
