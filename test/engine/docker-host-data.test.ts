import { execFile } from 'node:child_process';
import {
  lchown,
  link,
  lstat,
  mkdir,
  open,
  readFile,
  readdir,
  rename,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Host, StreamData } from '../../src/hosts/host.ts';
import { openDockerHost } from '../../src/hosts/docker/docker-host.ts';
import { readTar } from '../../src/lib/tar/read-tar.ts';
import { writeTar } from '../../src/lib/tar/write-tar.ts';
import type { Entry } from '../../src/model/entry.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { makeHostileTree } from '../support/hostile-tree.ts';
import { treeFacts } from '../support/tree-facts.ts';

const run = promisify(execFile);

let engine: PrivateEngine;
let host: Host;
let streaming: Host;
beforeAll(async () => {
  engine = await startPrivateEngine();
  await engine.importBusybox();
  const env = { DOCKER_HOST: engine.dockerHost };
  host = await openDockerHost({ env });
  streaming = await openDockerHost({ env, dataWay: 'stream' });
});
afterAll(async () => {
  await host?.[Symbol.asyncDispose]();
  await streaming?.[Symbol.asyncDispose]();
  expect(await engine?.docker(['ps', '-aq', '--filter', 'label=holdfast.helper=true'])).toBe('');
  await engine?.[Symbol.asyncDispose]();
});

const createVolume = async (
  name: string,
  options: Readonly<Record<string, string>> = {},
): Promise<string> => {
  await host.createVolume({ name, driver: 'local', labels: {}, options });
  return engine.volumePath(name);
};

async function openStream(
  name: string,
  options: { readonly write?: boolean; readonly signal?: AbortSignal } = {},
): Promise<StreamData> {
  const data = await streaming.openData(name, options);
  if (data.way !== 'stream') throw new Error('The data was not opened as a stream.');
  return data;
}

async function readEntries(data: StreamData, path = ''): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>();
  for await (const { entry } of readTar(await data.readTar(path))) entries.set(entry.path, entry);
  return entries;
}

describe('the direct way', () => {
  test('is used for a plain local volume and leads to its data', async () => {
    const path = await createVolume('d-plain');
    await using data = await host.openData('d-plain', { write: true });
    expect(data).toMatchObject({ way: 'direct', root: path });
  });

  test('is not used for an NFS volume that is not mounted: its directory is empty, its data is not', async () => {
    await createVolume('d-nfs', {
      type: 'nfs',
      device: ':/export',
      o: 'addr=192.0.2.1,ro,soft,retrans=1,timeo=1',
    });
    // The engine cannot mount it here either: an error, and never an empty volume.
    await expect(readWhole(host, 'd-nfs')).rejects.toMatchObject({
      code: 'failed',
      detail: expect.stringContaining('mount') as string,
    });
  });

  test('is used for an unmounted bind volume, and leads to the directory that it is bound from', async () => {
    const device = join(engine.folder, 'd-device');
    await mkdir(device);
    await writeFile(join(device, 'file'), 'bound');
    await createVolume('d-bind', { type: 'none', device, o: 'bind' });
    await using data = await host.openData('d-bind');
    expect(data).toMatchObject({ way: 'direct', root: device });
    expect(await engine.docker(['ps', '-aq', '--filter', 'volume=d-bind'])).toBe('');
  });

  test('is not used for a bind volume whose directory looks different from the engine', async () => {
    const device = join(engine.folder, 'd-covered');
    await mkdir(device);
    await writeFile(join(device, 'file'), 'of the engine');
    await createVolume('d-covered', { type: 'none', device, o: 'bind' });
    // In its own mount namespace the same path is another directory, as when Holdfast runs in a container.
    const script = `
      import { execFileSync } from 'node:child_process';
      import { openDockerHost } from ${JSON.stringify(join(import.meta.dirname, '../../src/hosts/docker/docker-host.ts'))};
      execFileSync('mount', ['-t', 'tmpfs', 'none', ${JSON.stringify(device)}]);
      await using host = await openDockerHost();
      await using data = await host.openData('d-covered');
      console.log(data.way);`;
    const args = [
      '--mount',
      '--propagation',
      'private',
      process.execPath,
      '--input-type=module',
      '-e',
      script,
    ];
    const { stdout } = await run('unshare', args, {
      env: { ...process.env, DOCKER_HOST: engine.dockerHost },
    });
    expect(stdout).toBe('stream\n');
  });

  test('is not used for a bind volume whose directory is missing: an error, and never an empty volume', async () => {
    await createVolume('d-lost', { type: 'none', device: '/nowhere/at/all', o: 'bind' });
    await expect(readWhole(host, 'd-lost')).rejects.toMatchObject({
      detail: expect.stringContaining('/nowhere/at/all') as string,
    });
  });

  test('is used for a mounted bind volume, and leads to the directory that stays after the unmount', async () => {
    const device = join(engine.folder, 'd-device-2');
    await mkdir(device);
    await writeFile(join(device, 'file'), 'bound');
    const mountpoint = await createVolume('d-bind-2', { type: 'none', device, o: 'bind' });
    await engine.docker(['run', '-d', '--name', 'd-bind-2', '-v', 'd-bind-2:/v', 'busybox', 'sleep', '1000']);
    await using data = await host.openData('d-bind-2');
    expect(data).toMatchObject({ way: 'direct', root: device });
    await engine.docker(['rm', '-f', 'd-bind-2']);
    expect(await readdir(mountpoint)).toEqual([]);
    expect(await readFile(`${device}/file`, 'utf8')).toBe('bound');
  });

  test('keeps the data of a mounted volume reachable when its last container stops', async () => {
    const mountpoint = await createVolume('d-tmpfs', { type: 'tmpfs', device: 'tmpfs', o: 'size=1m' });
    await engine.docker([
      'run',
      '-d',
      '--name',
      'd-tmpfs',
      '-v',
      'd-tmpfs:/v',
      'busybox',
      'sh',
      '-c',
      'echo live > /v/file; sleep 1000',
    ]);
    await expect.poll(async () => (await readdir(mountpoint)).length).toBeGreaterThan(0);
    await using data = await host.openData('d-tmpfs');
    if (data.way !== 'direct') throw new Error('The data was not opened directly.');
    expect(data.root).not.toBe(mountpoint);
    expect((await lstat(data.root)).isDirectory()).toBe(true);
    await engine.docker(['rm', '-f', 'd-tmpfs']);
    expect(await readdir(mountpoint)).toEqual([]);
    expect(await readFile(`${data.root}/file`, 'utf8')).toBe('live\n');
  });

  test('is not used when the engine that answers is not the one whose folder is visible', async () => {
    await createVolume('d-other');
    const file = join(engine.dataRoot, 'engine-id');
    const id = await readFile(file, 'utf8');
    try {
      await writeFile(file, 'another');
      await using data = await host.openData('d-other');
      expect(data.way).toBe('stream');
    } finally {
      await writeFile(file, id);
    }
  });
});

describe('the streamed way', () => {
  test('carries every name, link, device, owner, mode and byte, both ways', async () => {
    const [from, to] = [await createVolume('s-from'), await createVolume('s-to')];
    await makeHostileTree(from);
    await addTroubles(from);
    await using source = await openStream('s-from');
    await using target = await openStream('s-to', { write: true });
    await target.writeTar('', await source.readTar(''));
    const without = ['mtime', 'xattrs', 'holes'] as const;
    const expected = treeFacts(from, { without }).filter((line) => !line.includes(' 140000 '));
    expect(treeFacts(to, { without })).toEqual(expected);
    expect(expected.length).toBeGreaterThan(20);
  });

  test('writes what a good archive holds: exact times, attributes, ACLs, and the root itself', async () => {
    const [from, to] = [await createVolume('w-from'), await createVolume('w-to')];
    await makeHostileTree(from);
    // An engine cannot write these, as the limits say.
    for (const name of ['plain.txt', 'empty'])
      await run('touch', ['-h', '-d', '2001-01-01 01:01:01.123456789', join(from, name)]);
    await run('setfattr', ['-x', 'user.a=b%', join(from, 'plain.txt')]).catch(() =>
      run('setfattr', ['-x', 'user.a=b%25', join(from, 'plain.txt')]),
    );
    await mkdir(join(from, 'shared/within'), { recursive: true });
    await run('setfacl', ['-d', '-m', 'u:1234:rwx', join(from, 'shared'), from]);
    await run('setfattr', ['-n', 'user.root', '-v', 'yes', from]);
    await lchown(from, 70, 71);
    await utimes(from, 1_600_000_000.25, 1_600_000_000.25);
    await using target = await openStream('w-to', { write: true });
    await target.writeTar('', tarProgram(from));
    const without = ['holes'] as const;
    const times = treeFacts(from, { without }).filter((line) => !line.includes(' 140000 '));
    expect(treeFacts(to, { without })).toEqual(times);
  });

  test('reads one folder and one file, with names from the root', async () => {
    const path = await createVolume('s-part');
    await mkdir(join(path, 'a/b'), { recursive: true });
    await writeFile(join(path, 'a/b/file'), 'content');
    await link(join(path, 'a/b/file'), join(path, 'a/b/other'));
    await using data = await openStream('s-part');
    const folder = await readEntries(data, 'a/b');
    expect([...folder.keys()]).toEqual(['a/b', 'a/b/file', 'a/b/other']);
    expect(folder.get('a/b/other')?.hardLinkTo).toBe('a/b/file');
    expect([...(await readEntries(data, 'a/b/file')).keys()]).toEqual(['a/b/file']);
    const contents: string[] = [];
    for await (const { body } of readTar(await data.readTar('a/b/file'))) contents.push(await text(body));
    expect(contents).toEqual(['content']);
  });

  test('reads a path of bytes that are not UTF-8', async () => {
    const path = await createVolume('s-bytes');
    await writeFile(Buffer.from(`${path}/b\xff+%&\n -x`, 'latin1'), 'odd');
    await using data = await openStream('s-bytes');
    expect([...(await readEntries(data, 'b\xff+%&\n -x')).keys()]).toEqual(['b\xff+%&\n -x']);
  });

  test('leads nowhere outside of the volume', async () => {
    const path = await createVolume('s-escape');
    await mkdir(join(path, 'real'));
    await symlink('/', join(path, 'root'));
    await symlink('real', join(path, 'link'));
    await using data = await openStream('s-escape', { write: true });
    for (const bad of ['..', '../x', '/etc', 'a/../b', './a', 'a//b', 'a/', 'a\0b']) {
      await expect(data.readTar(bad)).rejects.toMatchObject({ code: 'usage' });
      await expect(data.writeTar(bad, oneFile('x', 'y'))).rejects.toMatchObject({ code: 'usage' });
    }
    await expect(data.readTar('root/etc')).rejects.toMatchObject({
      code: 'usage',
      detail: '"root" is not a directory.',
    });
    await expect(data.readTar('link/x')).rejects.toMatchObject({ code: 'usage' });
    await expect(data.writeTar('link', oneFile('x', 'y'))).rejects.toMatchObject({ code: 'usage' });
    await expect(data.readTar('nowhere')).rejects.toMatchObject({ code: 'not-found' });
    await expect(data.writeTar('nowhere', oneFile('x', 'y'))).rejects.toMatchObject({ code: 'not-found' });
    expect((await readEntries(data, 'link')).get('link')).toMatchObject({
      type: 'symlink',
      linkTarget: 'real',
    });
    expect(await readdir(join(path, 'real'))).toEqual([]);
  });

  test('unpacks below a folder and leaves other entries there', async () => {
    const path = await createVolume('s-below');
    await mkdir(join(path, 'sub'));
    await writeFile(join(path, 'sub/kept'), 'kept');
    await using data = await openStream('s-below', { write: true });
    await data.writeTar('sub', oneFile('new', 'new'));
    expect((await readdir(join(path, 'sub'))).toSorted()).toEqual(['kept', 'new']);
  });

  test('does not replace a folder by a file', async () => {
    const path = await createVolume('s-clash');
    await mkdir(join(path, 'name/within'), { recursive: true });
    await using data = await openStream('s-clash', { write: true });
    await expect(data.writeTar('', oneFile('name', 'x'))).rejects.toMatchObject({
      message: 'Cannot write to volume "s-clash"',
    });
    expect(await readdir(join(path, 'name'))).toEqual(['within']);
  });

  test('data opened for reading is not written, neither by Holdfast nor by the engine', async () => {
    const path = await createVolume('s-ro');
    await using data = await openStream('s-ro');
    await expect(data.writeTar('', oneFile('x', 'y'))).rejects.toMatchObject({ code: 'read-only' });
    const [mount] = JSON.parse(
      await engine.docker(['inspect', '-f', '{{json .Mounts}}', await onlyHelper('s-ro')]),
    ) as { RW: boolean }[];
    expect(mount?.RW).toBe(false);
    expect(await readdir(path)).toEqual([]);
  });

  test('several streams of one volume run at once', async () => {
    const path = await createVolume('s-many');
    await writeFile(join(path, 'file'), Buffer.alloc(4 << 20, 'x'));
    await using data = await openStream('s-many', { write: true });
    const slow = (await data.readTar(''))[Symbol.asyncIterator]();
    await slow.next();
    await Promise.all([
      buffer(await data.readTar('file')),
      data.writeTar('', oneFile('other', 'o')),
      readEntries(data),
    ]);
    let rest = 0;
    for (let next = await slow.next(); next.done !== true; next = await slow.next())
      rest += next.value.length;
    expect(rest).toBeGreaterThan(3 << 20);
  });

  test('a full volume is reported as full', async () => {
    await createVolume('s-full', { type: 'tmpfs', device: 'tmpfs', o: 'size=1m' });
    await using data = await openStream('s-full', { write: true });
    const big = tarOf([{ path: 'big', size: 64 << 20 }]);
    await expect(data.writeTar('', big)).rejects.toMatchObject({
      code: 'full',
      message: 'Cannot write to volume "s-full"',
    });
  });

  test('a truncated tar stream is refused, and so is other data', async () => {
    await createVolume('s-cut');
    await using data = await openStream('s-cut', { write: true });
    const whole = await buffer(oneFile('file', 'x'.repeat(5000)));
    for (const length of [0, 512, 3000, whole.length - 1024]) {
      await expect(data.writeTar('', chunk(whole.subarray(0, length)))).rejects.toMatchObject({
        code: 'integrity',
      });
    }
    await expect(data.writeTar('', chunk(Buffer.alloc(2048, 'no tar')))).rejects.toMatchObject({
      code: 'integrity',
    });
  });

  test('an error of the sender is passed on', async () => {
    await createVolume('s-source');
    await using data = await openStream('s-source', { write: true });
    const failing = async function* () {
      yield (await buffer(oneFile('file', 'x'))).subarray(0, 512);
      throw new RangeError('my own');
    };
    await expect(data.writeTar('', failing())).rejects.toThrow(new RangeError('my own'));
  });

  test('a file that shrinks while it is read makes an error, and never a shorter volume', async () => {
    const path = await createVolume('s-shrink');
    await writeFile(join(path, 'a-file'), Buffer.alloc(32 << 20, 'x'));
    await writeFile(join(path, 'b-file'), 'after it');
    await using data = await openStream('s-shrink');
    const read = async (): Promise<number> => {
      let seen = 0;
      for await (const piece of await data.readTar('')) {
        if (seen === 0) await (await open(join(path, 'a-file'), 'r+').then(shorten)).close();
        seen += piece.length;
      }
      return seen;
    };
    await expect(read()).rejects.toMatchObject({
      code: 'failed',
      message: 'Cannot read volume "s-shrink": the engine\'s stream ended too early',
    });
  });

  test('a slow reader slows the engine down: memory stays small', async () => {
    const path = await createVolume('s-slow');
    await run('truncate', ['-s', '400M', join(path, 'large')]);
    await using data = await openStream('s-slow');
    const before = process.memoryUsage();
    const iterator = (await data.readTar(''))[Symbol.asyncIterator]();
    await iterator.next();
    await new Promise((resolve) => setTimeout(resolve, 500));
    const after = process.memoryUsage();
    await iterator.return?.();
    expect(after.external + after.arrayBuffers - before.external - before.arrayBuffers).toBeLessThan(
      16 << 20,
    );
  });

  test('cancelling ends a read, a write and an opening, and leaves no helper', async () => {
    const path = await createVolume('s-cancel');
    await writeFile(join(path, 'large'), Buffer.alloc(32 << 20));
    {
      await using data = await openStream('s-cancel', { write: true });
      const reading = new AbortController();
      const read = async () => {
        for await (const _ of await data.readTar('', { signal: reading.signal })) reading.abort();
      };
      await expect(read()).rejects.toMatchObject({ code: 'cancelled' });
      const writing = new AbortController();
      const endless = async function* () {
        yield* tarHead('endless', 1 << 30);
        for (;;) {
          yield Buffer.alloc(65_536);
          writing.abort();
        }
      };
      await expect(data.writeTar('', endless(), { signal: writing.signal })).rejects.toMatchObject({
        code: 'cancelled',
      });
      const opening = new AbortController();
      setTimeout(() => opening.abort(), 3);
      await streaming.openData('s-cancel', { signal: opening.signal }).then(
        async (opened) => await opened[Symbol.asyncDispose](),
        (error: unknown) => expect(error).toMatchObject({ code: 'cancelled' }),
      );
    }
    expect(await engine.docker(['ps', '-aq', '--filter', 'volume=s-cancel'])).toBe('');
  });

  test('closing the data while a stream is open ends the stream and removes the helper', async () => {
    const path = await createVolume('s-close');
    await writeFile(join(path, 'large'), Buffer.alloc(32 << 20));
    const data = await openStream('s-close');
    const iterator = (await data.readTar(''))[Symbol.asyncIterator]();
    await iterator.next();
    await data[Symbol.asyncDispose]();
    const rest = async () => {
      while ((await iterator.next()).done !== true);
    };
    await expect(rest()).rejects.toBeDefined();
    await expect(data.readTar('')).rejects.toMatchObject({ code: 'failed' });
    expect(await engine.docker(['ps', '-aq', '--filter', 'volume=s-close'])).toBe('');
  });

  test('an engine that dies in the middle of a stream is an error', async () => {
    await using other = await startPrivateEngine();
    await using dying = await openDockerHost({ env: { DOCKER_HOST: other.dockerHost }, dataWay: 'stream' });
    await other.docker(['volume', 'create', 'vol']);
    await writeFile(join(other.volumePath('vol'), 'large'), Buffer.alloc(64 << 20));
    const data = await dying.openData('vol');
    const read = async () => {
      for await (const _ of await (data as StreamData).readTar('')) await other.kill();
    };
    await expect(read()).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(other.dockerHost) as string,
    });
    await expect(data[Symbol.asyncDispose]()).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('an engine that dies during a write is an error', async () => {
    await using other = await startPrivateEngine();
    await using dying = await openDockerHost({ env: { DOCKER_HOST: other.dockerHost }, dataWay: 'stream' });
    await other.docker(['volume', 'create', 'vol']);
    const data = (await dying.openData('vol', { write: true })) as StreamData;
    const endless = async function* () {
      yield* tarHead('endless', 1 << 30);
      for (let count = 0; ; count += 1) {
        yield Buffer.alloc(65_536);
        if (count === 100) await other.kill();
      }
    };
    await expect(data.writeTar('', endless())).rejects.toMatchObject({ code: 'unavailable' });
    await expect(data[Symbol.asyncDispose]()).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('an engine that hangs in the middle times out, reading and writing', async () => {
    const path = await createVolume('s-hang');
    await writeFile(join(path, 'large'), Buffer.alloc(64 << 20));
    const env = { DOCKER_HOST: engine.dockerHost };
    await using impatient = await openDockerHost({ env, dataWay: 'stream', streamIdleMs: 500 });
    await using data = (await impatient.openData('s-hang', { write: true })) as StreamData;
    const message = expect.stringContaining('nothing moved for 0.5 s') as string;
    try {
      const read = async () => {
        for await (const _ of await data.readTar('')) process.kill(engine.pid, 'SIGSTOP');
      };
      await expect(read()).rejects.toMatchObject({ code: 'unavailable', message });
      process.kill(engine.pid, 'SIGCONT');
      const write = async function* () {
        yield* tarHead('endless', 1 << 30);
        for (;;) {
          yield Buffer.alloc(65_536);
          process.kill(engine.pid, 'SIGSTOP');
        }
      };
      await expect(data.writeTar('', write())).rejects.toMatchObject({ code: 'unavailable', message });
    } finally {
      process.kill(engine.pid, 'SIGCONT');
    }
  });

  test('never copies image contents into an empty volume, and never pulls an image', async () => {
    const path = await createVolume('s-empty');
    const before = await stat(path, { bigint: true });
    await using _ = await openStream('s-empty', { write: true });
    expect((await stat(path, { bigint: true })).ctimeNs).toBe(before.ctimeNs);
    expect(await engine.docker(['image', 'inspect', '-f', '{{.Size}}', 'holdfast/empty:1'])).toBe('0');
  });

  test('the exact times that the stream rounds can be requested', async () => {
    const path = await createVolume('s-times');
    await writeFile(join(path, 'file'), 'x');
    await symlink('file', join(path, 'link'));
    await mkdir(Buffer.from(`${path}/d\xff`, 'latin1'));
    await run('touch', ['-d', '1930-02-03 04:05:06.123456789', join(path, 'file')]);
    await using data = await openStream('s-times');
    const expected = await Promise.all(
      ['file', 'link', 'd\xff', ''].map(
        async (name) => (await lstat(Buffer.from(`${path}/${name}`, 'latin1'), { bigint: true })).mtimeNs,
      ),
    );
    expect(await data.readTimes?.(['file', 'link', 'd\xff', '', 'nowhere'])).toEqual([
      ...expected,
      undefined,
    ]);
    expect(expected[0]! % 1_000_000_000n).not.toBe(0n);
  });
});

/**
 * What the engine's archive endpoints lose. Each of these tests fails when an engine improves: then update
 * the limits in stream-data.ts and docs/decisions/0010-docker-client.md.
 */
describe('the limits of the streamed way', () => {
  test('when reading: times are whole seconds, attributes and ACLs are missing, capabilities are not', async () => {
    const path = await createVolume('l-read');
    const file = join(path, 'file');
    await writeFile(file, 'x');
    await run('setfattr', ['-n', 'user.one', '-v', '1', file]);
    await run('setfattr', ['-n', 'trusted.two', '-v', '2', file]);
    await run('setfattr', [
      '-n',
      'security.capability',
      '-v',
      '0x0100000200040000000000000000000000000000',
      file,
    ]);
    await run('setfacl', ['-m', 'u:1234:r', file]);
    await run('touch', ['-d', '2020-02-02 02:02:02.123456789Z', file]);
    await using data = await openStream('l-read');
    const entry = (await readEntries(data)).get('file');
    expect(entry?.mtimeNs).toBe(1_580_608_922_000_000_000n);
    expect(entry?.xattrs?.map(({ name }) => name)).toEqual(['security.capability']);
  });

  test('when reading: sockets are left out, and holes are zeros', async () => {
    const path = await createVolume('l-kinds');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(path, 'socket'), resolve));
    await run('truncate', ['-s', '8M', join(path, 'hole')]);
    await using data = await openStream('l-kinds');
    const entries = await readEntries(data);
    server.close();
    expect([...entries.keys()]).toEqual(['', 'hole']);
    expect(entries.get('hole')).toMatchObject({ size: 8 << 20 });
    expect(entries.get('hole')?.dataRuns).toBeUndefined();
  });

  test('when writing: holes are filled, and times before 1970 and after 2262 become 1970', async () => {
    const from = join(engine.folder, 'l-write');
    await mkdir(from);
    await run('truncate', ['-s', '8M', join(from, 'hole')]);
    for (const [name, date] of [
      ['old', '1930-01-01'],
      ['late', '2280-01-01'],
    ] as const)
      await run('touch', ['-d', date, join(from, name)]);
    const path = await createVolume('l-write');
    await using data = await openStream('l-write', { write: true });
    await data.writeTar('', tarProgram(from));
    expect((await stat(join(path, 'hole'))).blocks * 512).toBeGreaterThanOrEqual(8 << 20);
    expect((await stat(join(path, 'old'))).mtimeMs).toBe(0);
    expect((await stat(join(path, 'late'))).mtimeMs).toBe(0);
  });

  test('a helper serves one stream at a time: a second one waits until the first has ended', async () => {
    const path = await createVolume('l-lock');
    await writeFile(join(path, 'large'), Buffer.alloc(32 << 20));
    await using data = await openStream('l-lock');
    const first = (await data.readTar(''))[Symbol.asyncIterator]();
    await first.next();
    const url = `http://docker/containers/${await onlyHelper('l-lock')}/archive?path=/volume`;
    const ask = run('curl', ['-s', '-m', '1', '-I', '--unix-socket', engine.socket, url]);
    await expect(ask).rejects.toMatchObject({ code: 28 });
    await first.return?.();
  });
});

async function readWhole(from: Host, name: string): Promise<number> {
  await using data = await from.openData(name);
  if (data.way === 'direct') throw new Error('The data was opened directly.');
  return (await buffer(await data.readTar(''))).length;
}

async function onlyHelper(volume: string): Promise<string> {
  const id = await engine.docker(['ps', '-aq', '--no-trunc', '--filter', `volume=${volume}`]);
  expect(id).toMatch(/^[0-9a-f]{64}$/);
  return id;
}

/** Names that other programs treat specially. */
async function addTroubles(path: string): Promise<void> {
  await writeFile(join(path, '.wh.file'), 'not a whiteout');
  await mkdir(join(path, '.wh..wh..opq'));
  await writeFile(join(path, '.dockerignore'), '*');
  await rename(join(path, '.dockerignore'), join(path, '.dockerenv'));
  await lchown(join(path, '.wh.file'), 4_000_000, 4_000_001);
}

async function shorten<T extends { truncate(length: number): Promise<void> }>(file: T): Promise<T> {
  await file.truncate(1000);
  return file;
}

async function* tarProgram(folder: string): AsyncGenerator<Uint8Array> {
  const args = ['--format=pax', '--xattrs', '--xattrs-include=*', '--sparse', '-C', folder, '-cf', '-', '.'];
  const { stdout } = await run('tar', args, { encoding: 'buffer', maxBuffer: 256 << 20 });
  yield stdout;
}

function oneFile(path: string, content: string): AsyncIterable<Uint8Array> {
  return tarOf([{ path, size: content.length, content }]);
}

function tarOf(
  files: readonly { readonly path: string; readonly size: number; readonly content?: string }[],
): AsyncIterable<Uint8Array> {
  return writeTar(
    files.map(({ path, size, content }) => ({
      entry: { path, type: 'file' as const, mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n, size },
      open: () => (content === undefined ? zeros(size) : chunk(Buffer.from(content))),
    })),
  );
}

async function* tarHead(path: string, size: number): AsyncGenerator<Uint8Array> {
  for await (const piece of tarOf([{ path, size }])) {
    yield piece.subarray(0, 512);
    return;
  }
}

async function* zeros(size: number): AsyncGenerator<Uint8Array> {
  for (let rest = size; rest > 0; rest -= 65_536) yield Buffer.alloc(Math.min(rest, 65_536));
}

async function* chunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
