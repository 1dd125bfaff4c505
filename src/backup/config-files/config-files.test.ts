import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { memoryContainers } from '../../../test/fixtures/containers.ts';
import { AppError } from '../../model/errors.ts';
import { collectConfig, notHere } from './collect-config.ts';
import { composeReferences } from './compose-references.ts';
import { ConfigReader, limits } from './read-files.ts';
import { composePlace, mountedPaths } from './wanted-files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'config-'));
  return () => rmSync(folder, { recursive: true, force: true });
});

test('finds what a Compose file names for services, configs and secrets, and reports files that only Compose can find', () => {
  const content = `
include: [./db/compose.yaml, { path: [more.yaml], env_file: more.env }, oci://registry/stack]
services:
  web: { env_file: [web.env, { path: ./late.env, required: false }], extends: { file: base.yaml, service: web } }
  app: { env_file: '\${WHERE}/app.env' }
configs: { site: { file: ./site.conf }, inline: { content: x } }
secrets: { key: { file: /etc/keys/site }, outer: { external: true } }
`;
  const { files, composeFiles, unknown } = composeReferences(content, '/srv/site');
  expect(files.toSorted()).toEqual(
    [
      '/etc/keys/site',
      ...['base.yaml', 'db/compose.yaml', 'late.env', 'more.env', 'more.yaml', 'site.conf', 'web.env'].map(
        (name) => `/srv/site/${name}`,
      ),
    ].toSorted(),
  );
  expect(composeFiles.toSorted()).toEqual(
    ['base.yaml', 'db/compose.yaml', 'more.yaml'].map((name) => `/srv/site/${name}`),
  );
  expect(unknown).toEqual(['${WHERE}/app.env']);
});

test('what a Compose file names is found in all its documents, through anchors and merge keys', () => {
  const content = `
x-base: &base { env_file: base.env }
services: { web: { <<: *base }, app: { env_file: &one app.env }, other: { env_file: *one } }
---
secrets: { key: { file: key.txt } }
`;
  expect(composeReferences(content, '/srv').files.toSorted()).toEqual(
    ['app.env', 'base.env', 'key.txt'].map((name) => `/srv/${name}`),
  );
});

const bomb = Array.from({ length: 9 }, (_, index) => {
  const inner = index === 0 ? 'lol' : `*a${index - 1}`;
  return `x-${index}: &a${index} [${Array.from({ length: 10 }, () => inner).join()}]\n`;
}).join('');

test.each([
  ['open brackets', '{ not: [yaml'],
  ['a key twice', 'services: { a: { env_file: x } }\nservices: {}\n'],
  ['an anchor that is not there', 'services: { a: *nothing }'],
  ['an anchor that holds itself', 'services: &a { b: *a }'],
  ['aliases of aliases', bomb],
  ['deep nesting', '['.repeat(100_000)],
  ['control characters', 'services: "\u0000\u001b"'],
  ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x00, 0x80]).toString('utf8')],
  ['a list', '- a\n- b\n'],
  ['a text', 'services'],
  ['nothing', ''],
  ['other types', 'services: [1, null]\nconfigs: { a: 1, b: { file: [{}, 5] } }\ninclude: 7\nsecrets: x\n'],
  ['names of prototypes', 'services: { __proto__: { env_file: { path: { a: b } } }, constructor: null }'],
])('a Compose file that is broken names no files, and is no error: %s', (_, content) => {
  expect(composeReferences(content, '/srv')).toEqual({ files: [], composeFiles: [], unknown: [] });
});

describe('what containers mount', () => {
  test('is saved unless it belongs to a volume or the machine; a folder that a container writes to holds data', () => {
    const containers = memoryContainers();
    const bind = (source: string, readOnly: boolean) => ({
      type: 'bind' as const,
      source,
      destination: '/x',
      readOnly,
    });
    const web = containers.add({
      name: 'web',
      mounts: [bind('/srv/conf', true), bind('/srv/data', true), bind('/var/run/docker.sock', true)],
    });
    const app = containers.add({
      name: 'app',
      mounts: [bind('/srv/data', false), bind('/pool/volumes/pg/_data/x', true)],
    });
    expect(mountedPaths([web, app], ['/pool/volumes/pg/_data'])).toEqual([
      { path: '/srv/conf', as: 'either', isOptional: false },
      { path: '/srv/data', as: 'file', isOptional: false },
    ]);
  });

  test('labels from an image name no files', () => {
    const containers = memoryContainers();
    const labels = { 'com.docker.compose.project.config_files': '/etc/shadow' };
    const evil = containers.add({ name: 'evil', labels, imageLabels: labels });
    expect(composePlace([evil]).files).toEqual([]);
  });
});

describe('the reader of such files', () => {
  test('leaves out what lies on a server that does not answer, and waits for it once', async () => {
    const asked: string[] = [];
    const reader = new ConfigReader(async (place) => {
      asked.push(place);
      if (place.startsWith(`${folder}/share/`)) throw new AppError('unavailable', 'It is away');
    });
    mkdirSync(join(folder, 'share'));
    const [one, two, own] = ['share/one', 'share/two', 'own'].map((name) => join(folder, name));
    for (const path of [one, two, own]) {
      writeFileSync(path ?? '', 'x');
      await reader.add({ path: path ?? '', as: 'file', isOptional: false });
    }
    expect(reader.saved).toEqual([own]);
    expect(reader.leftOut).toEqual(
      [one, two].map((path) => ({ path, reason: 'its storage does not answer' })),
    );
    expect(asked).toEqual([one, own]);
  });

  test('leaves out a folder that contains a mount', async () => {
    mkdirSync(join(folder, 'conf/disk'), { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', join(folder, 'conf/disk')]);
    try {
      const reader = await add(join(folder, 'conf'), 'either');
      expect(reader.saved).toEqual([]);
      expect(reader.leftOut).toMatchObject([
        { reason: expect.stringContaining('something is mounted in it') },
      ]);
    } finally {
      execFileSync('umount', [join(folder, 'conf/disk')]);
    }
  });

  const add = async (path: string, as: 'file' | 'either' = 'file') => {
    const reader = new ConfigReader();
    await reader.add({ path, as, isOptional: false });
    return reader;
  };

  test('reads files and folders, with the folders above them', async () => {
    mkdirSync(join(folder, 'conf.d/empty'), { recursive: true });
    writeFileSync(join(folder, 'conf.d/site.conf'), 'server', { mode: 0o640 });
    symlinkSync('site.conf', join(folder, 'conf.d/link'));
    const reader = await add(join(folder, 'conf.d'), 'either');
    expect(reader.saved).toEqual([join(folder, 'conf.d')]);
    expect(reader.leftOut).toEqual([]);
    const below = reader.files.filter(({ entry }) => entry.path.startsWith(folder.slice(1)));
    expect(
      below.map(({ entry }) => `${entry.type} ${entry.path.slice(folder.length - 1)}`).toSorted(),
    ).toEqual(['dir ', 'dir /conf.d', 'dir /conf.d/empty', 'file /conf.d/site.conf', 'symlink /conf.d/link']);
    expect(reader.files.find(({ entry }) => entry.path.endsWith('site.conf'))).toMatchObject({
      entry: { mode: 0o640, size: 6 },
      content: Buffer.from('server'),
    });
  });

  test('waits for no pipe, opens no device, and leaves out large files with the reason', async () => {
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    writeFileSync(join(folder, 'large'), '');
    truncateSync(join(folder, 'large'), limits.fileBytes + 1);
    mkdirSync(join(folder, 'data'));
    writeFileSync(join(folder, 'data/large'), Buffer.alloc(limits.fileBytes + 1));
    for (const [path, as, reason] of [
      [join(folder, 'pipe'), 'file', undefined],
      ['/dev/zero', 'file', 'it is of the kernel'],
      ['/proc/kmsg', 'file', 'it is of the kernel'],
      [join(folder, 'large'), 'file', 'it has more than 1.0 MB'],
      [join(folder, 'data'), 'file', 'it is a folder that containers write to: back it up by its path'],
      [join(folder, 'data'), 'either', 'it is a folder of more than 1.0 MB: back it up by its path'],
      [join(folder, 'none'), 'file', 'it is not there'],
    ] as const) {
      const reader = await add(path, as);
      expect(reader.files).toEqual([]);
      expect(reader.leftOut).toEqual(reason === undefined ? [] : [{ path, reason }]);
    }
  });

  test('has a limit for all files together', async () => {
    const reader = new ConfigReader();
    for (let index = 0; index < 20; index++) {
      const path = join(folder, `file-${index}`);
      writeFileSync(path, Buffer.alloc(limits.fileBytes, index));
      await reader.add({ path, as: 'file', isOptional: false });
    }
    expect(reader.saved).toHaveLength(16);
    expect(reader.leftOut).toHaveLength(4);
  });

  test.runIf(process.getuid?.() === 0)('follows no link that another user can change', async () => {
    mkdirSync(join(folder, 'theirs'));
    chownSync(join(folder, 'theirs'), 1000, 1000);
    symlinkSync('/etc', join(folder, 'theirs/conf'));
    const reader = await add(join(folder, 'theirs/conf/passwd'));
    expect(reader.files).toEqual([]);
    expect(reader.leftOut).toMatchObject([{ reason: expect.stringContaining('another user can change') }]);
  });
});

test('a volume of a stack has the Compose file, what that names, and what all its containers mount', async () => {
  for (const [name, text] of [
    ['compose.yaml', 'services: { db: { env_file: db.env } }\n'],
    ['db.env', 'PASSWORD=x\n'],
    ['.env', 'TAG=1\n'],
    ['redis.conf', 'appendonly yes\n'],
    ['acme.json', '{}\n'],
  ] as const)
    writeFileSync(join(folder, name), text);
  const containers = memoryContainers();
  const labels = {
    'com.docker.compose.project': 'site',
    'com.docker.compose.project.config_files': join(folder, 'compose.yaml'),
    'com.docker.compose.project.working_dir': folder,
  };
  const mounts = [
    { type: 'bind' as const, source: join(folder, 'redis.conf'), destination: '/x', readOnly: true },
    { type: 'bind' as const, source: join(folder, 'acme.json'), destination: '/y', readOnly: false },
  ];
  containers.add({ name: 'redis', stack: 'site', labels, imageLabels: {}, mounts });
  const found = await collectConfig({
    volume: { name: 'site_pg', stack: 'site' },
    containers: await containers.list(),
    volumes: [],
    stateDir: '/var/lib/holdfast',
  });
  expect(found?.record).toEqual({
    saved: ['compose.yaml', 'db.env', '.env', 'redis.conf', 'acme.json'].map((name) => join(folder, name)),
    writable: [join(folder, 'acme.json')],
    leftOut: [],
  });
});

test('leaves out what a Compose file names of the machine or of the state folder', async () => {
  mkdirSync(join(folder, 'state'));
  for (const name of ['state/key', 'web.env']) writeFileSync(join(folder, name), 'x');
  const services = 'web: { env_file: [/etc/passwd, state/key, web.env] }';
  const include = '[/etc/passwd, state/key, more.yaml]';
  writeFileSync(join(folder, 'compose.yaml'), `include: ${include}\nservices: { ${services} }`);
  const extended = '{ app: { extends: { file: /etc/passwd, service: app } } }';
  writeFileSync(join(folder, 'more.yaml'), `services: ${extended}`);
  const containers = memoryContainers();
  const labels = {
    'com.docker.compose.project': 'site',
    'com.docker.compose.project.config_files': join(folder, 'compose.yaml'),
    'com.docker.compose.project.working_dir': folder,
  };
  containers.add({ name: 'web', stack: 'site', labels, imageLabels: {}, mounts: [] });
  const found = await collectConfig({
    volume: { name: 'site_data', stack: 'site' },
    containers: await containers.list(),
    volumes: [],
    stateDir: join(folder, 'state'),
  });
  expect(found?.record.saved).toEqual(
    ['compose.yaml', 'web.env', 'more.yaml'].map((name) => join(folder, name)),
  );
});

test('among unreadable files, reports only those that would be saved: the Compose files of its own stack', async () => {
  const containers = memoryContainers();
  const labels = {
    'com.docker.compose.project': 'site',
    'com.docker.compose.project.config_files': '/srv/site/compose.yaml',
  };
  const mounts = [
    { type: 'volume' as const, source: 'outer', destination: '/x', readOnly: false },
    { type: 'bind' as const, source: '/srv/site/app.conf', destination: '/y', readOnly: true },
  ];
  containers.add({ name: 'web', stack: 'site', labels, imageLabels: {}, mounts });
  const users = await containers.list();
  const missed = (volume: Parameters<typeof notHere>[0]) =>
    notHere(volume, users)?.record.leftOut.map((one) => one.path);
  expect(missed({ name: 'site_data', stack: 'site' })).toEqual([
    '/srv/site/compose.yaml',
    '/srv/site/app.conf',
  ]);
  expect(missed({ name: 'outer', stack: undefined })).toEqual(['/srv/site/app.conf']);
});
