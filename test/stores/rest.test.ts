import { execFileSync } from 'node:child_process';
import { hash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { runCommand } from '../../scripts/run-command.ts';
import type { RestAddress } from '../../src/repository/stores/address.ts';
import { openStore } from '../../src/repository/stores/open-store.ts';
import { newPaceState } from '../../src/repository/stores/pace.ts';
import type { Store } from '../../src/repository/stores/store.ts';
import { describeStore } from '../suites/store-suite.ts';
import { restAddress, type RestServer, startRestServer } from './rest-server.ts';
import { startScriptedServer } from './scripted-server.ts';

let server: RestServer;
let folder: string;
let stores: Store[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rest-test-'));
  server = await startRestServer();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  stores = [];
});
afterEach(async () => {
  for (const store of stores) await store[Symbol.asyncDispose]?.();
});

describeStore({
  name: 'rest',
  async open() {
    const store = openStore(restAddress(newUrl(server)));
    return { store, [Symbol.asyncDispose]: async () => await store[Symbol.asyncDispose]?.() };
  },
});

function newUrl({ url }: RestServer): string {
  return `${url}${randomBytes(6).toString('hex')}/`;
}

function open(url: string, more: Partial<RestAddress> = {}): Store {
  const store = openStore(restAddress(url, more));
  stores.push(store);
  return store;
}

async function openMade(url: string, more: Partial<RestAddress> = {}): Promise<Store> {
  const store = open(url, more);
  await store.create();
  await store.save('config', '', Buffer.from('config'));
  return store;
}

function file(length = 1000): { name: string; content: Buffer } {
  const content = randomBytes(length);
  return { name: hash('sha256', content), content };
}

describe('rest', () => {
  test('files lie where restic looks for them', async () => {
    const url = newUrl(server);
    const store = await openMade(url);
    const { name, content } = file();
    await store.save('data', name, content);
    const stored = join(server.folder, new URL(url).pathname, 'data', name.slice(0, 2), name);
    expect(readFileSync(stored).equals(content)).toBe(true);
  });

  test('a config is not replaced by another one', async () => {
    const store = await openMade(newUrl(server));
    await store.save('config', '', Buffer.from('config'));
    await expect(store.save('config', '', Buffer.from('other'))).rejects.toMatchObject({ code: 'exists' });
  });

  test('uploads that the server finds damaged are not stored', async () => {
    const store = await openMade(newUrl(server));
    const { name } = file();
    await expect(store.save('data', name, Buffer.from('something else'))).rejects.toMatchObject({
      code: 'failed',
    });
    expect(await store.list('data')).toEqual([]);
  });

  test('the rate is kept, up and down', async () => {
    const rates = { upload: newPaceState(2_000_000), download: newPaceState(4_000_000) };
    const store = await openMade(newUrl(server), rates);
    const { name, content } = file(1_000_000);
    const started = performance.now();
    await store.save('data', name, content);
    const saved = performance.now();
    expect(saved - started).toBeGreaterThan(450);
    expect((await store.load('data', name)).equals(content)).toBe(true);
    expect(performance.now() - saved).toBeGreaterThan(220);
  });

  test('a server that is started again is found again', async () => {
    const own = mkdtempSync(join(folder, 'own-'));
    let first: RestServer | undefined = await startRestServer({ folder: own });
    const url = `${first.url}x/`;
    const store = await openMade(url, { retry: { deadlineMs: 30_000, firstDeadlineMs: 1000 } });
    const { name, content } = file();
    await store.save('data', name, content);
    await first[Symbol.asyncDispose]();
    first = undefined;
    const loading = store.load('data', name);
    await using _again = await startRestServer({ folder: own, port: Number(new URL(url).port) });
    expect((await loading).equals(content)).toBe(true);
  });
});

describe('append-only', () => {
  test('adds and reads, removes nothing but locks, and says why', async () => {
    await using appendOnly = await startRestServer({ args: ['--no-auth', '--append-only'] });
    const store = await openMade(`${appendOnly.url}x/`);
    const { name, content } = file();
    for (const type of ['keys', 'snapshots', 'index', 'data', 'locks'] as const) {
      await store.save(type, name, content);
      await store.save(type, name, content);
    }
    for (const type of ['keys', 'snapshots', 'index', 'data'] as const) {
      await expect(store.remove(type, name)).rejects.toMatchObject({
        code: 'denied',
        message: expect.stringContaining(`Cannot remove "${type}/${name}"`),
        detail: expect.stringContaining('append-only'),
      });
      expect((await store.load(type, name)).equals(content)).toBe(true);
      await store.remove(type, file().name);
    }
    await store.remove('locks', name);
    expect(await store.list('locks')).toEqual([]);
  });
});

describe('users', () => {
  let guarded: RestServer;
  beforeAll(async () => {
    const own = mkdtempSync(join(folder, 'users-'));
    const passwords = join(folder, 'htpasswd');
    const sha = hash('sha1', 'secret', 'base64');
    writeFileSync(passwords, `alice:{SHA}${sha}\nbob:{SHA}${sha}\n`);
    guarded = await startRestServer({
      folder: own,
      args: ['--htpasswd-file', passwords, '--private-repos', '--max-size', '5000000'],
    });
  });
  afterAll(() => guarded[Symbol.asyncDispose]());

  test('are known by their password, and kept to their own folder', async () => {
    const alice = await openMade(`${guarded.url}alice/x/`, { user: 'alice', password: 'secret' });
    expect(await alice.list('data')).toEqual([]);
    for (const [user, password] of [
      ['alice', 'wrong'],
      ['carol', 'secret'],
      ['alice', undefined],
      [undefined, undefined],
    ] as const) {
      const store = open(`${guarded.url}alice/x/`, {
        user,
        password,
        retry: { deadlineMs: 60_000, firstDeadlineMs: 60_000 },
      });
      await expect(store.exists('config', '')).rejects.toMatchObject({ code: 'denied' });
    }
    const bob = open(`${guarded.url}alice/x/`, { user: 'bob', password: 'secret' });
    await expect(bob.load('config', '')).rejects.toMatchObject({ code: 'denied' });
  });

  test('that have used up their quota are reported as full', async () => {
    const store = await openMade(`${guarded.url}bob/x/`, { user: 'bob', password: 'secret' });
    const { name, content } = file(6_000_000);
    await expect(store.save('data', name, content)).rejects.toMatchObject({ code: 'full' });
    expect(await store.list('data')).toEqual([]);
  });
});

describe('TLS', () => {
  let secure: RestServer;
  let ca: string;
  beforeAll(async () => {
    const key = join(folder, 'tls.key');
    const certificate = join(folder, 'tls.pem');
    execFileSync(
      'openssl',
      [
        ...[
          'req',
          '-x509',
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:prime256v1',
          '-nodes',
          '-days',
          '2',
        ],
        ...[
          '-keyout',
          key,
          '-out',
          certificate,
          '-subj',
          '/CN=test',
          '-addext',
          'subjectAltName=IP:127.0.0.1',
        ],
      ],
      { stdio: 'ignore' },
    );
    ca = readFileSync(certificate, 'utf8');
    secure = await startRestServer({
      tls: true,
      args: ['--no-auth', '--tls', '--tls-cert', certificate, '--tls-key', key],
    });
  });
  afterAll(() => secure[Symbol.asyncDispose]());

  test('works with an authority of its own, when that is named', async () => {
    const store = await openMade(newUrl(secure), { tls: { ca, clientCertificate: undefined } });
    const { name, content } = file(1_000_000);
    await Promise.all([1, 2, 3, 4, 5].map(() => store.save('data', name, content)));
    expect((await store.load('data', name)).equals(content)).toBe(true);
  });

  test('a server without a trusted certificate is refused, and not retried', async () => {
    const store = open(newUrl(secure), { retry: { deadlineMs: 60_000, firstDeadlineMs: 60_000 } });
    await expect(store.exists('config', '')).rejects.toMatchObject({
      code: 'denied',
      hint: expect.stringContaining('ca-file'),
    });
  });

  test('an authority that the machine trusts is trusted', async () => {
    const module = join(import.meta.dirname, '../../src/repository/stores/open-store.ts');
    const script = `
      import { openStore } from ${JSON.stringify(module)};
      const store = openStore(${JSON.stringify(restAddress(newUrl(secure)))});
      console.log(await store.exists('config', ''));`;
    const certificate = join(folder, 'tls.pem');
    const run = async (env: NodeJS.ProcessEnv): Promise<string> =>
      (await runCommand(process.execPath, ['--input-type=module-typescript', '-e', script], { env })).output;
    expect(await run({ ...process.env, SSL_CERT_FILE: certificate })).toBe('false\n');
    expect(await run({ ...process.env })).toContain('Cannot trust');
  });

  test('another name than the certificate has is not trusted either', async () => {
    const url = newUrl(secure).replace('127.0.0.1', 'localhost');
    const store = open(url, { tls: { ca, clientCertificate: undefined } });
    await expect(store.exists('config', '')).rejects.toMatchObject({ code: 'denied' });
  });

  test('a server without TLS is distinguished from an unreachable one', async () => {
    const store = open(newUrl(server).replace('http:', 'https:'));
    await expect(store.exists('config', '')).rejects.toMatchObject({
      code: 'failed',
      hint: expect.stringContaining('"http:"'),
    });
  });
});

describe('servers that are no REST servers', () => {
  test.each([
    ['<html>Welcome</html>', 'failed'],
    ['{"files": []}', 'failed'],
    ['[{"name": "' + 'a'.repeat(64) + '"}]', 'failed'],
    ['[{"name": "' + 'a'.repeat(64) + '", "size": -1}]', 'failed'],
    ['[{"name": "../../etc/passwd", "size": 1}, null, 7]', undefined],
    ['null', undefined],
    ['[]', undefined],
  ])('that answer %s', async (body, code) => {
    await using scripted = await startScriptedServer((_, response) => response.end(body));
    const listing = open(`${scripted.origin}/`).list('data');
    if (code === undefined) expect(await listing).toEqual([]);
    else await expect(listing).rejects.toMatchObject({ code });
  });

  test('of the first version tell names only: sizes are asked for', async () => {
    const [first, second] = ['a'.repeat(64), 'b'.repeat(64)];
    await using scripted = await startScriptedServer((request, response) => {
      if (request.method === 'GET') return void response.end(JSON.stringify([first, second, 'x']));
      if (request.url?.endsWith(second) === true) return void response.writeHead(404).end();
      response.writeHead(200, { 'Content-Length': '17' }).end();
    });
    expect(await open(`${scripted.origin}/`).list('data')).toEqual([{ name: first, sizeBytes: 17 }]);
  });

  test.each([
    [500, 'unavailable'],
    [503, 'unavailable'],
    [507, 'full'],
    [413, 'full'],
    [401, 'denied'],
    [404, 'not-found'],
    [405, 'failed'],
    [301, 'failed'],
  ])('status %i is "%s"', async (status, code) => {
    await using scripted = await startScriptedServer((request, response) =>
      request.method === 'HEAD' ? response.end() : response.writeHead(status).end('why not'),
    );
    const store = open(`${scripted.origin}/`);
    await expect(store.load('data', 'a'.repeat(64))).rejects.toMatchObject({ code });
    const saving = store.save('data', 'a'.repeat(64), Buffer.from('x'));
    await expect(saving).rejects.toMatchObject({ code });
  });
});
