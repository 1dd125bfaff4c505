import { createServer, request } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type DirectoryVolumes, directoryVolumes } from '../../../test/support/directory-volumes.ts';
import { pluginMethods } from './answer-plugin.ts';
import { pluginListener } from './plugin-listener.ts';
import { mediaType } from './protocol.ts';

let folder: string;
let volumes: DirectoryVolumes;
let opened: AsyncDisposableStack;
let seenDockerd: number;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'plugin-'));
  volumes = directoryVolumes(join(folder, 'volumes'));
  opened = new AsyncDisposableStack();
  seenDockerd = 0;
  opened.defer(() => rmSync(folder, { recursive: true, force: true }));
  const listener = pluginListener({
    volumes: Promise.resolve(volumes),
    scope: 'local',
    onActivate: () => undefined,
    onDockerd: () => void (seenDockerd += 1),
    onFailure: () => undefined,
  });
  const server = createServer((asked, response) => void listener(asked, response));
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(join(folder, 's'), resolve);
  await promise;
  opened.defer(() => void server.close());
});
afterEach(() => opened.disposeAsync());

async function post(
  method: string,
  body: string,
  {
    type,
    accept,
    at = 's',
  }: { readonly type?: string | undefined; readonly accept?: string; readonly at?: string } = {},
): Promise<{ status: number; answer: unknown }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; answer: unknown }>();
  const headers = {
    ...(type !== undefined && { 'Content-Type': type }),
    ...(accept !== undefined && { Accept: accept }),
  };
  const asked = request({
    socketPath: join(folder, at),
    method: 'POST',
    path: `/${method}`,
    headers,
    agent: false,
  });
  asked.on('error', reject);
  asked.on('response', (response) => {
    let text = '';
    response.on('data', (chunk: Buffer) => (text += chunk.toString()));
    response.on('end', () =>
      resolve({ status: response.statusCode ?? 0, answer: JSON.parse(text) as unknown }),
    );
  });
  asked.end(body);
  return await promise;
}
const driver = (method: string, body: object): Promise<unknown> =>
  post(`VolumeDriver.${method}`, JSON.stringify(body)).then(({ answer }) => answer);

describe('the volume plugin protocol', () => {
  test('says what it is, whatever the request holds', async () => {
    expect((await post('Plugin.Activate', '')).answer).toEqual({ Implements: ['VolumeDriver'] });
    expect((await post('VolumeDriver.Capabilities', '{}')).answer).toEqual({
      Capabilities: { Scope: 'local' },
    });
    expect((await post('NetworkDriver.GetCapabilities', '{}')).status).toBe(404);
  });

  test('tells dockerd from other engines', async () => {
    const type = 'application/vnd.docker.plugins.v1.1+json';
    // As Podman does: it activates a plugin at each look at it.
    await post('Plugin.Activate', '', { type });
    await post('VolumeDriver.List', '', { type, accept: type });
    expect(seenDockerd).toBe(0);
    await post('Plugin.Activate', '', { accept: mediaType });
    await post('VolumeDriver.List', '', { accept: mediaType });
    expect(seenDockerd).toBe(2);
  });

  test('makes no volume whose options are commands', async () => {
    for (const key of ['key', 'password', 'secret.s3-secret-access-key']) {
      const options = { type: 'gocryptfs', [key]: 'exec:touch /tmp/owned' };
      expect(await driver('Create', { Name: 'owned', Opts: options })).toEqual({
        Err: expect.stringContaining(`Cannot create volume "owned": "${key}" would run a command here`),
      });
    }
    expect(await driver('List', {})).toEqual({ Volumes: [], Err: '' });
  });

  test('activates before the volumes are open: an engine that starts does not wait', async () => {
    await using unopened = new AsyncDisposableStack();
    const late = Promise.withResolvers<DirectoryVolumes>();
    const listener = pluginListener({
      volumes: late.promise,
      scope: 'local',
      onActivate: () => undefined,
      onDockerd: () => undefined,
      onFailure: () => undefined,
    });
    const server = createServer((asked, response) => void listener(asked, response));
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(join(folder, 'late'), resolve);
    await promise;
    unopened.defer(() => void server.close());
    expect((await post('Plugin.Activate', '', { at: 'late' })).answer).toEqual({
      Implements: ['VolumeDriver'],
    });
    const listed = post('VolumeDriver.List', '{}', { at: 'late' });
    late.resolve(volumes);
    expect((await listed).answer).toEqual({ Volumes: [], Err: '' });
  });

  test('gives up on storage before the engine gives up on the plugin, which would retry', () => {
    const limits = Object.entries(pluginMethods).map(([name, { timeoutMs }]) => ({
      timeoutMs,
      engineMs: /Create|Mount$/.test(name) && !name.endsWith('Unmount') ? 120_000 : 60_000,
    }));
    expect(limits).not.toEqual([]);
    expect(limits.filter(({ timeoutMs, engineMs }) => timeoutMs >= engineMs)).toEqual([]);
  });

  test('reads bodies of every content type, and empty ones', async () => {
    for (const type of [undefined, 'application/vnd.docker.plugins.v1.1+json', 'text/plain'])
      expect((await post('VolumeDriver.Create', '{"Name":"pg","Opts":null}', { type })).answer).toEqual({
        Err: '',
      });
    expect((await post('VolumeDriver.List', '')).answer).toMatchObject({
      Volumes: [{ Name: 'pg' }],
      Err: '',
    });
  });

  test('counts every id once, accepts unknown ones at an unmount, and never counts below zero', async () => {
    await driver('Create', { Name: 'pg' });
    const mounts = async (): Promise<unknown> => {
      const { Volume } = (await driver('Get', { Name: 'pg' })) as { Volume: { Status: { mounts: number } } };
      return Volume.Status.mounts;
    };
    for (const id of ['a', 'b', 'a', 'a']) await driver('Mount', { Name: 'pg', ID: id });
    expect(await mounts()).toBe(2);
    expect(await driver('Remove', { Name: 'pg' })).toMatchObject({
      Err: expect.stringContaining('mounted') as string,
    });
    for (const id of ['a', 'a', 'never', 'b', 'b'])
      expect(await driver('Unmount', { Name: 'pg', ID: id })).toEqual({ Err: '' });
    expect(await mounts()).toBe(0);
    for (let attempt = 0; attempt < 2; attempt += 1)
      expect(await driver('Remove', { Name: 'pg' })).toEqual({ Err: '' });
    expect(await driver('Unmount', { Name: 'pg', ID: 'a' })).toEqual({ Err: '' });
  });

  test('sends times without fractions, which break the whole answer', async () => {
    await driver('Create', { Name: 'pg' });
    const { Volume } = (await driver('Get', { Name: 'pg' })) as { Volume: { CreatedAt: string } };
    expect(Volume.CreatedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  });

  test('reports a volume as missing only when it is', async () => {
    expect(await driver('Get', { Name: 'nope' })).toEqual({ Err: 'no such volume: nope' });
    await driver('Create', { Name: 'pg' });
    volumes.failing = true;
    const looked = driver('Get', { Name: 'pg' });
    setTimeout(() => (volumes.failing = false), 600);
    expect(await looked).toMatchObject({ Volume: { Name: 'pg' }, Err: '' });
  });

  test('gives no answer to a lookup without a name: its body was lost on the way', async () => {
    await expect(driver('Get', {})).rejects.toThrow('socket hang up');
    await expect(post('VolumeDriver.Path', '')).rejects.toThrow('socket hang up');
    await expect(post('VolumeDriver.Get', '{"Name"')).rejects.toThrow('socket hang up');
  });

  test('sends failures with status 500, and to dockerd, which would add the method to the message, with 200', async () => {
    const failures = [
      ['Create', '{"Name":"pg","Opts":{"size":5}}'],
      ['Get', '{"Name":"pg"}'],
      ['Path', '{"Name":"pg"}'],
      ['Mount', '{"Name":"pg","ID":"a"}'],
      ['Remove', '{"Name":""}'],
      ['Unmount', '{"Name":""}'],
    ] as const;
    const accept = 'application/vnd.docker.plugins.v1.2+json';
    for (const [method, body] of failures) {
      const asPodman = await post(`VolumeDriver.${method}`, body, {
        type: 'application/vnd.docker.plugins.v1.1+json',
      });
      const asPlain = await post(`VolumeDriver.${method}`, body);
      const asDockerd = await post(`VolumeDriver.${method}`, body, { accept });
      const answer = { Err: expect.stringMatching(/./) as string };
      expect([method, asPodman]).toEqual([method, { status: 500, answer }]);
      expect([method, asPlain]).toEqual([method, asPodman]);
      expect([method, asDockerd]).toEqual([method, { ...asPodman, status: 200 }]);
    }
  });

  test('refuses with a message what it cannot read', async () => {
    expect(await driver('Create', { Name: 5 })).toEqual({
      Err: 'The request cannot be read: "Name" is no text',
    });
    expect(await driver('Create', { Name: 'pg', Opts: { size: 5 } })).toMatchObject({
      Err: expect.stringContaining('"size"') as string,
    });
    expect((await post('VolumeDriver.Create', '[]')).answer).toMatchObject({
      Err: expect.stringContaining('no object') as string,
    });
  });

  test('answers a body that is too long, and goes on', async () => {
    const body = JSON.stringify({ Name: 'pg', Opts: { o: 'x'.repeat(3_000_000) } });
    expect((await post('VolumeDriver.Create', body)).answer).toEqual({
      Err: expect.stringContaining('request body too large') as string,
    });
    expect((await post('VolumeDriver.List', '{}')).answer).toEqual({ Volumes: [], Err: '' });
  });

  test('has no method by a name that every object knows', async () => {
    for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty'])
      expect(await post(name, '{}')).toEqual({
        status: 404,
        answer: { Err: expect.stringContaining('in this protocol') as string },
      });
  });
});
