import { execFileSync, spawnSync } from 'node:child_process';
import { hash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { S3Address } from '../../src/repository/stores/address.ts';
import { newPaceState } from '../../src/repository/stores/pace.ts';
import { openStore } from '../../src/repository/stores/open-store.ts';
import { S3Client } from '../../src/repository/stores/s3/s3-client.ts';
import type { Store } from '../../src/repository/stores/store.ts';
import { describeStore } from '../suites/store-suite.ts';
import { startScriptedServer } from './scripted-server.ts';
import { motoAddress, motoCredentials, type MotoServer, startMoto } from './moto-server.ts';

let moto: MotoServer;

beforeAll(async () => {
  moto = await startMoto();
});
afterAll(() => moto[Symbol.asyncDispose]());

for (const prefix of ['', 'some/prefix', "odd name+(1)'*!ü"]) {
  describeStore({
    name: `s3, in ${prefix === '' ? 'a whole bucket' : prefix}`,
    async open() {
      const store = openStore(motoAddress(moto, newBucket(), { prefix }));
      return { store, [Symbol.asyncDispose]: async () => await store[Symbol.asyncDispose]?.() };
    },
  });
}

describe('s3', () => {
  test('a large file is sent in parts, and is one file', async () => {
    await using made = await openMade();
    const { name, content } = file(12_345_678);
    await made.store.save('data', name, content);
    expect((await made.store.load('data', name)).equals(content)).toBe(true);
    const head = await made.client.request({
      method: 'HEAD',
      key: `some/prefix/data/${name.slice(0, 2)}/${name}`,
    });
    expect(head.headers['etag']).toMatch(/-3"$/);
  });

  test('a large file that is interrupted leaves nothing behind', async () => {
    await using made = await openMade({ upload: newPaceState(10_000_000) });
    const { name, content } = file(20_000_000);
    const signal = AbortSignal.timeout(600);
    await expect(made.store.save('data', name, content, { signal })).rejects.toMatchObject({
      code: 'cancelled',
    });
    expect(await made.store.list('data')).toEqual([]);
    expect(await made.uploads()).not.toContain('<UploadId>');
  });

  test('old parts that a kill has left are removed, and those of others never', async () => {
    await using made = await openMade();
    // All uploads of moto began in 2010.
    for (const key of ['some/prefix/data/00/x', 'other/data/00/x', 'some/prefix/photos/x'])
      await made.client.request({ method: 'POST', key, query: { uploads: '' } });
    await made.store.removeLeftovers?.();
    const left = await made.uploads();
    expect(
      Array.from(left.matchAll(/<Key>([^<]+)/g), ([, key = '']) => key).toSorted((a, b) => (a < b ? -1 : 1)),
    ).toEqual(['other/data/00/x', 'some/prefix/photos/x']);
  });

  test('more files than fit on a page are listed, each once', async () => {
    await using made = await openMade();
    const names = Array.from({ length: 1100 }, () => file(32).name);
    const files = names.map((name) => ({ name, content: Buffer.from('x') }));
    const queue = files.values();
    const saveNext = async (): Promise<void> => {
      // The content does not match the names, which this store cannot know.
      for (const { name, content } of queue)
        await made.client.request({
          method: 'PUT',
          key: `some/prefix/data/${name.slice(0, 2)}/${name}`,
          body: content,
        });
    };
    await Promise.all(Array.from({ length: 4 }, saveNext));
    for (const { name, content } of files.slice(0, 3))
      await put(made.client, `some/prefix/snapshots/${name}`, content);
    const listed = (await made.store.list('data')).map(({ name }) => name);
    expect(listed.toSorted()).toEqual(names.toSorted());
    expect(await made.store.list('snapshots')).toHaveLength(3);
  });

  test('foreign files are left out of lists, and prevent creating a repository', async () => {
    await using made = await openMade();
    const { name } = file();
    for (const key of [
      `data/${name}`,
      `data/ff/${name}.bak`,
      'snapshots/x',
      `snapshots/a/${name}`,
      'snapshots/',
    ])
      await put(made.client, `some/prefix/${key}`, Buffer.from('x'));
    expect(await made.store.list('data')).toEqual([]);
    expect(await made.store.list('snapshots')).toEqual([]);
    await put(made.client, 'elsewhere/photo.jpg', Buffer.from('x'));
    await using other = open(made.address.bucket, { prefix: 'elsewhere' });
    await expect(other.store.create()).rejects.toMatchObject({
      code: 'exists',
      detail: expect.stringContaining('photo.jpg'),
    });
    await using inside = open(made.address.bucket, { prefix: '' });
    await expect(inside.store.create()).rejects.toMatchObject({ code: 'exists' });
  });

  test('a config is never replaced by another one, however many are made at once', async () => {
    const bucket = newBucket();
    await using first = open(bucket);
    await first.store.create();
    const settings = Array.from({ length: 6 }, async (_, i) => {
      await using one = open(bucket);
      await one.store.create();
      await one.store.save('config', '', Buffer.from(`config ${i}`));
      return i;
    });
    const results = await Promise.allSettled(settings);
    const winners = results.filter((result) => result.status === 'fulfilled');
    expect(winners).toHaveLength(1);
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'exists' });
    expect((await first.store.load('config', '')).toString()).toBe(`config ${winners[0]?.value}`);
  });

  test('the storage class is set, but archives get packs of data only', async () => {
    for (const [storageClass, withTrees] of [
      ['STANDARD_IA', 'STANDARD_IA'],
      ['GLACIER', undefined],
    ] as const) {
      await using made = await openMade({ storageClass });
      const [data, trees, index] = [file(), file(), file()];
      await made.store.save('data', data.name, data.content);
      await made.store.save('data', trees.name, trees.content, { holds: 'trees' });
      await made.store.save('index', index.name, index.content);
      const classOf = async (key: string): Promise<string | undefined> =>
        (await made.client.request({ method: 'HEAD', key: `some/prefix/${key}` })).headers[
          'x-amz-storage-class'
        ];
      expect(await classOf(`data/${data.name.slice(0, 2)}/${data.name}`)).toBe(storageClass);
      expect(await classOf(`data/${trees.name.slice(0, 2)}/${trees.name}`)).toBe(withTrees);
      expect(await classOf(`index/${index.name}`)).toBe(withTrees);
    }
  });

  test('the rate is kept, up and down', async () => {
    await using made = await openMade({ upload: newPaceState(2_000_000), download: newPaceState(4_000_000) });
    const { name, content } = file(1_000_000);
    const started = performance.now();
    await made.store.save('data', name, content);
    const saved = performance.now();
    expect(saved - started).toBeGreaterThan(450);
    expect((await made.store.load('data', name)).equals(content)).toBe(true);
    expect(performance.now() - saved).toBeGreaterThan(220);
  });

  test('saving or listing does not recreate a removed bucket', async () => {
    await using made = await openMade();
    await using fresh = open(made.address.bucket);
    const { name, content } = file();
    await made.client.request({ method: 'DELETE', key: 'some/prefix/config' });
    await made.client.request({ method: 'DELETE', key: '' });
    await expect(made.store.save('data', name, content)).rejects.toMatchObject({ code: 'not-found' });
    await expect(fresh.store.save('data', name, content)).rejects.toMatchObject({ code: 'not-found' });
    await expect(made.store.list('data')).rejects.toMatchObject({ code: 'not-found' });
    expect((await made.client.request({ method: 'HEAD', key: '' })).status).toBe(404);
  });
});

describe('object lock', () => {
  const objectLock = { mode: 'GOVERNANCE', days: 2 } as const;

  test('keeps stored files from being removed, and says until when; only locks are removable', async () => {
    await using made = await openMade({ objectLock });
    const { name, content } = file();
    for (const type of ['keys', 'snapshots', 'index', 'data', 'locks'] as const)
      await made.store.save(type, name, content);
    for (const type of ['keys', 'snapshots', 'index', 'data'] as const) {
      const removal = made.store.remove(type, name);
      await expect(removal).rejects.toMatchObject({
        code: 'denied',
        message: expect.stringContaining(`Cannot remove "${type}/${name}"`),
        detail: expect.stringMatching(/ends on \d{4}-/),
      });
      expect(await made.store.exists(type, name)).toBe(true);
    }
    await made.store.remove('locks', name);
    expect(await made.store.list('locks')).toEqual([]);
    const head = await made.client.request({ method: 'HEAD', key: `some/prefix/index/${name}` });
    const untilMs = Date.parse(head.headers['x-amz-object-lock-retain-until-date'] ?? '');
    expect(untilMs - Date.now()).toBeGreaterThan(1.99 * 86_400_000);
    expect(head.headers['x-amz-object-lock-mode']).toBe('GOVERNANCE');
  });

  test('a file saved again stays one version, and a large file is locked too', async () => {
    await using made = await openMade({ objectLock });
    const small = file();
    const large = file(6_000_000);
    for (const { name, content } of [small, small, large]) await made.store.save('data', name, content);
    const versions = await made.client.request({ method: 'GET', key: '', query: { versions: '' } });
    expect(versions.body.toString().match(new RegExp(`${small.name}</Key>`, 'g'))).toHaveLength(1);
  });

  test('locks of others are respected without the option', async () => {
    await using made = await openMade({ objectLock });
    const { name, content } = file();
    await made.store.save('data', name, content);
    await using plain = open(made.address.bucket);
    await expect(plain.store.remove('data', name)).rejects.toMatchObject({ code: 'denied' });
    const free = file();
    await plain.store.save('data', free.name, free.content);
    await plain.store.remove('data', free.name);
    expect(await plain.store.list('data')).toMatchObject([{ name, sizeBytes: content.length }]);
  });

  test('a bucket that keeps no retention is reported at once', async () => {
    await using made = await openMade();
    await using locked = open(made.address.bucket, { objectLock });
    const { name, content } = file();
    const saving = locked.store.save('data', name, content);
    await expect(saving).rejects.toMatchObject({ code: expect.stringMatching(/^(unsupported|failed)$/) });
  });
});

describe('signatures', () => {
  let guarded: MotoServer;
  let credentials: S3Address['credentials'];
  beforeAll(async () => {
    // Moto checks every signature after the first requests, which create a user with a key.
    guarded = await startMoto({ INITIAL_NO_AUTH_ACTION_COUNT: '3' });
    const iam = async (query: string): Promise<string> => {
      const response = await fetch(`${guarded.endpoint}/?Version=2010-05-08&${query}`, {
        method: 'POST',
        headers: {
          Authorization:
            'AWS4-HMAC-SHA256 Credential=x/20200101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=x',
        },
      });
      return await response.text();
    };
    await iam('Action=CreateUser&UserName=u');
    const policy = JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 's3:*', Resource: '*' }],
    });
    await iam(`Action=PutUserPolicy&UserName=u&PolicyName=p&PolicyDocument=${encodeURIComponent(policy)}`);
    const key = await iam('Action=CreateAccessKey&UserName=u');
    credentials = {
      accessKeyId: /<AccessKeyId>([^<]+)/.exec(key)?.[1] ?? '',
      secretAccessKey: /<SecretAccessKey>([^<]+)/.exec(key)?.[1] ?? '',
      sessionToken: undefined,
    };
  });
  afterAll(() => guarded[Symbol.asyncDispose]());

  test('are taken by a server that checks them', async () => {
    const bucket = newBucket();
    await using client = new S3Client(motoAddress(guarded, bucket, { credentials }));
    const { name, content } = file();
    expect((await client.request({ method: 'PUT', key: '' })).status).toBe(200);
    for (const body of [content, undefined]) {
      for (const method of ['PUT', 'GET', 'HEAD', 'DELETE'] as const) {
        const sent = method === 'PUT' ? { body } : {};
        expect(
          (await client.request({ method, key: `some/prefix/index/${name}`, ...sent })).status,
        ).toBeLessThan(300);
      }
    }
    expect((await client.request({ method: 'POST', key: 'a', query: { uploads: '' } })).status).toBe(200);
  });

  test("are those of Amazon's own library, whatever the names", async () => {
    await using server = await startScriptedServer((_, response) => response.end());
    const address = motoAddress({ endpoint: server.origin }, 'bucket', { region: 'eu-west-3' });
    await using client = new S3Client(address);
    for (const key of ['', 'a', 'some/prefix/', "odd name+(1)'*!ü%&=?#~/x", 'a//b', '日本']) {
      await client.request({ method: 'GET', key });
      await client.request({
        method: 'PUT',
        key,
        body: Buffer.from('content'),
        headers: { 'X-Amz-Storage-Class': 'X' },
      });
      await client.request({
        method: 'GET',
        key: '',
        query: { 'list-type': '2', prefix: key, uploads: '', 'encoding-type': 'url' },
      });
    }
    const python = pythonWithBotocore();
    for (const { method, url, headers } of server.requests) {
      const signed = /SignedHeaders=([^,]+)/.exec(headers.authorization ?? '')?.[1]?.split(';') ?? [];
      const input = JSON.stringify({
        method,
        origin: server.origin,
        path: url,
        headers: Object.fromEntries(signed.map((name) => [name, headers[name]])),
        region: 'eu-west-3',
        ...motoCredentials,
      });
      const script = join(import.meta.dirname, 'botocore-signature.py');
      const expected = execFileSync(python, [script], { input, encoding: 'utf8' }).trim();
      expect(/Signature=(\w+)/.exec(headers.authorization ?? '')?.[1], `${method} ${url}`).toBe(expected);
      expect(signed).toEqual(expect.arrayContaining(['host', 'x-amz-content-sha256', 'x-amz-date']));
    }
    expect(server.requests).toHaveLength(18);
  });

  test('a session token goes with them, and is signed', async () => {
    await using server = await startScriptedServer((_, response) => response.end());
    const withToken = { ...motoCredentials, sessionToken: 'a token' };
    await using client = new S3Client(
      motoAddress({ endpoint: server.origin }, 'bucket', { credentials: withToken }),
    );
    await client.request({ method: 'HEAD', key: 'x' });
    const [request] = server.requests;
    expect(request?.headers['x-amz-security-token']).toBe('a token');
    expect(request?.headers.authorization).toContain('x-amz-security-token');
  });

  test('that are wrong are reported, and never retried', async () => {
    for (const [wrong, hint] of [
      [{ ...credentials, secretAccessKey: 'wrong' }, /secret key/],
      [{ ...credentials, accessKeyId: 'AKIAUNKNOWN' }, /access key/],
    ] as const) {
      const store = openStore(
        motoAddress(guarded, newBucket(), {
          credentials: wrong,
          retry: { deadlineMs: 60_000, firstDeadlineMs: 60_000 },
        }),
      );
      const started = performance.now();
      await expect(store.list('data')).rejects.toMatchObject({
        code: 'denied',
        hint: expect.stringMatching(hint),
      });
      expect(performance.now() - started).toBeLessThan(30_000);
      await store[Symbol.asyncDispose]?.();
    }
  });
});

interface Opened extends AsyncDisposable {
  readonly store: Store;
  readonly client: S3Client;
  readonly address: S3Address;
  uploads(): Promise<string>;
}

function open(bucket: string, more: Partial<S3Address> = {}): Opened {
  const address = motoAddress(moto, bucket, more);
  const store = openStore(address);
  const client = new S3Client({ ...address, credentials: motoCredentials });
  return {
    store,
    client,
    address,
    async uploads() {
      return (await client.request({ method: 'GET', key: '', query: { uploads: '' } })).body.toString();
    },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]?.();
      await client[Symbol.asyncDispose]();
    },
  };
}

async function openMade(more: Partial<S3Address> = {}): Promise<Opened> {
  const opened = open(newBucket(), more);
  await opened.store.create();
  await opened.store.save('config', '', Buffer.from('config'));
  return opened;
}

async function put(client: S3Client, key: string, body: Buffer): Promise<void> {
  expect((await client.request({ method: 'PUT', key, body })).status).toBe(200);
}

function newBucket(): string {
  return `bucket-${randomBytes(6).toString('hex')}`;
}

function file(length = 1000): { name: string; content: Buffer } {
  const content = randomBytes(length);
  return { name: hash('sha256', content), content };
}

/** Debian's moto uses the libraries of Debian's Python; one from elsewhere brings its own. */
function pythonWithBotocore(): string {
  const found = ['python3', '/usr/bin/python3'].find(
    (python) => spawnSync(python, ['-c', 'import botocore'], { stdio: 'ignore' }).status === 0,
  );
  if (found === undefined) throw new Error('No Python here has the library botocore, which comes with moto');
  return found;
}
