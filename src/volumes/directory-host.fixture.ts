import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Host, StreamData, VolumeData } from '../hosts/host.ts';
import { fromText, toBytes, type ByteString } from '../model/byte-string.ts';
import { inUseError } from '../model/consumers.ts';
import { AppError } from '../model/errors.ts';
import type { Consumer, Volume, VolumeSpec } from '../model/volume.ts';

export interface DirectoryHost extends Host {
  /** Where a volume's data lies. */
  path(name: string): string;
  /** Changes what the host says of a volume. */
  set(name: string, change: Partial<Volume>): void;
}

/** A host whose volumes are directories, for tests of the engine. Streamed, another program packs and unpacks. */
export function openDirectoryHost(folder: string, way: VolumeData['way']): DirectoryHost {
  const volumes = new Map<string, Volume>();
  const path = (name: string) => join(folder, 'volumes', name);
  const find = (name: string): Volume => {
    const volume = volumes.get(name);
    if (volume === undefined) throw new AppError('not-found', `Cannot open "${name}": no such volume`);
    return volume;
  };
  return {
    kind: 'embedded',
    containers: undefined,
    path,
    set: (name, change) => void volumes.set(name, { ...find(name), ...change }),
    info: async () => ({ kind: 'embedded', identity: 'test', name: 'test', version: '0', endpoint: folder }),
    listVolumes: async () => [...volumes.values()].sort((one, other) => (one.name < other.name ? -1 : 1)),
    findVolume: async (name) => volumes.get(name),
    async createVolume(spec: VolumeSpec) {
      const name = spec.name ?? 'f'.repeat(64);
      if (!volumes.has(name)) {
        mkdirSync(path(name), { recursive: true });
        volumes.set(name, newVolume(name, spec, path(name)));
      }
      return find(name);
    },
    async removeVolume(name) {
      const { consumers } = find(name);
      if (consumers.length > 0) throw inUseError('remove', name, consumers);
      rmSync(path(name), { recursive: true });
      volumes.delete(name);
    },
    listMounts: async () => [],
    async openData(name) {
      find(name);
      const root = fromText(path(name));
      return way === 'direct' ? { way, root, async [Symbol.asyncDispose]() {} } : streamData(root);
    },
    async [Symbol.asyncDispose]() {},
  };
}

export function consumer(name: string, state: Consumer['state'] = 'running'): Consumer {
  return {
    id: name,
    name,
    image: 'i',
    state,
    stack: undefined,
    service: undefined,
    path: '/data',
    readOnly: false,
  };
}

function newVolume(name: string, spec: VolumeSpec, mountpoint: string): Volume {
  return {
    name,
    driver: spec.driver === '' ? 'local' : spec.driver,
    mountpoint,
    createdAt: new Date().toISOString(),
    labels: spec.labels,
    options: spec.options,
    scope: 'local',
    anonymous: spec.name === undefined,
    stack: undefined,
    consumers: [],
  };
}

const attributes = ['--xattrs', '--xattrs-include=*', '--acls', '--numeric-owner'];

function streamData(root: ByteString): StreamData {
  const at = (path: ByteString) => (path === '' ? root : `${root}/${path}`);
  return {
    way: 'stream',
    limits: ['sockets are left out'],
    async readTar(path) {
      refuseLinks(root, path);
      if (!existsSync(toBytes(at(path)))) throw new AppError('not-found', `Cannot find "${path}"`);
      // A directory's entries in order, as an engine sends them.
      const args = [
        '-C',
        root,
        ...attributes,
        '--format=posix',
        '--sparse',
        '--sort=name',
        '--',
        path === '' ? '.' : path,
      ];
      const child = spawn('tar', ['-cf', '-', ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
      return child.stdout;
    },
    async writeTar(path, tar) {
      refuseLinks(root, path);
      if (!existsSync(toBytes(at(path)))) throw new AppError('not-found', `Cannot find "${path}"`);
      const child = spawn('tar', ['-C', at(path), ...attributes, '-xpf', '-'], {
        stdio: ['pipe', 'ignore', 'ignore'],
      });
      const ended = once(child, 'exit');
      try {
        for await (const chunk of tar) if (!child.stdin.write(chunk)) await once(child.stdin, 'drain');
      } finally {
        child.stdin.end();
        await ended;
      }
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** As every host does: each step of the way must be a directory. */
function refuseLinks(root: ByteString, path: ByteString): void {
  const parts = path.split('/').slice(0, -1);
  for (const [index] of parts.entries()) {
    const step = parts.slice(0, index + 1).join('/');
    const stat = lstatSync(toBytes(`${root}/${step}`), { throwIfNoEntry: false });
    if (stat?.isDirectory() === false) throw new AppError('usage', `"${step}" is not a directory`);
  }
}

/** What is directly in a folder, sorted. */
export function namesIn(path: string): string[] {
  return readdirSync(path).sort();
}
