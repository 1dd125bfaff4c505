import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { directoryVolumes } from '../../../test/support/directory-volumes.ts';
import { storageKind } from '../../model/storage-kind.ts';
import { apiListener } from './api-listener.ts';
import { EventLog } from './event-log.ts';
import { VolumeTexts } from './volume-texts.ts';

let folder: string;
let opened: AsyncDisposableStack;
let failures: string[];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'api-'));
  failures = [];
  opened = new AsyncDisposableStack();
  opened.defer(() => rmSync(folder, { recursive: true, force: true }));
  const volumes = directoryVolumes(join(folder, 'volumes'));
  const listener = apiListener({
    parts: Promise.resolve({
      volumes: {
        ...volumes,
        // As the embedded host, which knows its drivers.
        async create(spec, options) {
          storageKind(spec);
          return await volumes.create(spec, options);
        },
      },
      events: opened.use(new EventLog(volumes)),
      texts: new VolumeTexts(),
      sizes: {
        measure: async (paths) => paths.map((_path, index) => (index === 2 ? undefined : 100 + index)),
      },
      pruning: { isRunning: false },
      identity: 'me',
    }),
    onFailure: (what) => failures.push(what),
  });
  const server = createServer((asked, response) => void listener(asked, response));
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(join(folder, 's'), resolve);
  await promise;
  opened.defer(() => void server.close());
  for (const [name, id] of [['aa'], ['bb', 'container'], ['cc']] as const) {
    await volumes.create({ name, driver: 'local', options: {}, labels: {} });
    if (id !== undefined) await volumes.mount(name, id);
  }
});
afterEach(async () => {
  await opened.disposeAsync();
  expect(failures).toEqual([]);
});

interface Answer {
  readonly status: number;
  readonly location: string | undefined;
  readonly server: string;
  readonly body: unknown;
}

async function ask(method: string, path: string, body?: object): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const headers = body === undefined ? {} : { 'Content-Type': 'application/json' };
  const asked = request({ socketPath: join(folder, 's'), method, path, headers, agent: false });
  asked.on('error', reject);
  asked.on('response', (response) => {
    let text = '';
    response.on('data', (chunk: Buffer) => (text += chunk.toString()));
    response.on('end', () =>
      resolve({
        status: response.statusCode ?? 0,
        location: response.headers.location,
        server: String(response.headers['server'] ?? ''),
        body: text === '' ? undefined : (JSON.parse(text) as unknown),
      }),
    );
  });
  asked.end(body === undefined ? undefined : JSON.stringify(body));
  return await promise;
}

describe('paths', () => {
  test.each([
    ['//v1.45/volumes', '/v1.45/volumes'],
    ['//[/volumes?a=%zz', '/%5B/volumes?a=%zz'],
    ['/a/../v1.45/./volumes', '/v1.45/volumes'],
  ])('%s is sent on to %s', async (path, location) => {
    expect(await ask('GET', path)).toMatchObject({ status: 301, location });
  });

  test.each([
    ['/v1.45/volumes/%zz', 400],
    ['http://[::bad/volumes', 200],
    ['/volumes/a%00b', 404],
    ['/v1.45', 404],
    ['*', 301],
  ])('%s is answered with %i', async (path, status) => {
    expect(await ask('GET', path)).toMatchObject({ status });
  });
});

test("an unknown driver is a 404 with the engine's message", async () => {
  expect(await ask('POST', '/volumes/create', { Name: 'xx', Driver: 'no"such' })).toMatchObject({
    status: 404,
    server: expect.stringMatching(/^Holdfast\//) as string,
    body: { message: 'create xx: error looking up volume plugin no"such: plugin "no\\"such" not found' },
  });
  expect(await ask('POST', '/volumes/create', { Name: 'aa', Driver: 'nosuch' })).toMatchObject({
    status: 409,
  });
});

describe('GET /system/df', () => {
  const df = async (query: string): Promise<Record<string, unknown>> =>
    (await ask('GET', `/${query}`)).body as Record<string, unknown>;
  // Two of known size, one of which is in use; zero is left out.
  const sums = { ActiveCount: 2, Reclaimable: 100, TotalCount: 3, TotalSize: 201 };

  test('has lists, and only these, before version 1.52', async () => {
    const old = await df('v1.51/system/df?type=volume&verbose=x');
    expect(Object.keys(old)).toEqual(['LayersSize', 'Images', 'Containers', 'Volumes', 'BuildCache']);
    expect(old).toMatchObject({ Images: null, Volumes: [{ Name: 'aa' }, { Name: 'bb' }, { Name: 'cc' }] });
  });

  test('has sums as well from 1.52 on, and only these for a client that asks', async () => {
    const both = await df('v1.52/system/df?type=volume');
    expect(Object.keys(both)).toEqual(['Volumes', 'VolumeUsage']);
    expect(both['VolumeUsage']).toEqual(sums);
    expect(await df('v1.52/system/df?type=volume&verbose=0')).toEqual({ VolumeUsage: sums });
    const verbose = await df('v1.52/system/df?verbose=1');
    expect(verbose).toEqual({
      ImageUsage: {},
      ContainerUsage: {},
      VolumeUsage: { ...sums, Items: both['Volumes'] },
      BuildCacheUsage: {},
    });
  });

  test('refuses a value that is no boolean', async () => {
    expect(await ask('GET', '/v1.52/system/df?verbose=maybe')).toMatchObject({
      status: 400,
      body: { message: 'invalid value for verbose: maybe' },
    });
  });
});

test('GET /info has the fields of the requested version', async () => {
  const info = async (version: string): Promise<object> =>
    (await ask('GET', `/v${version}/info`)).body as object;
  const keys = Object.keys(await info('1.52'));
  expect(keys).toContain('ContainerdCommit');
  expect(keys).not.toContain('BridgeNfIptables');
  expect(Object.keys(await info('1.49'))).toContain('BridgeNfIptables');
  expect(await info('1.48')).toMatchObject({ ID: 'me', RuncCommit: { ID: '', Expected: '' } });
  expect(await info('1.49')).toMatchObject({ RuncCommit: { ID: '' } });
});
