import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import type { VolumeData } from '../hosts/host.ts';
import { type DirectoryHost, openDirectoryHost } from './directory-host.fixture.ts';
import { openEngine } from './open-engine.ts';
import type { LocalPlace, VolumeEngine } from './volume-engine.ts';

export const isRoot = process.getuid?.() === 0;

/** What `create` asks for when it asks for nothing. */
export const plain = { driver: '', labels: {}, options: {} };

export interface EngineUnderTest {
  readonly folder: string;
  readonly host: DirectoryHost;
  readonly engine: VolumeEngine;
  /** Makes a volume with files, and gives its directory. */
  create(name: string, content?: Readonly<Record<string, string>>): Promise<string>;
  /** A place in the test's own folder. */
  local(path: string): LocalPlace;
}

/** An engine over directories, with a folder and a host of its own for each test. */
export function useEngine(way: VolumeData['way']): EngineUnderTest {
  let folder = '';
  let host: DirectoryHost;
  let engine: VolumeEngine;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'holdfast-engine-'));
    host = openDirectoryHost(folder, way);
    engine = openEngine({ host });
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  return {
    get folder() {
      return folder;
    },
    get host() {
      return host;
    },
    get engine() {
      return engine;
    },
    async create(name, content = {}) {
      await engine.create({ ...plain, name });
      for (const [path, text] of Object.entries(content)) {
        mkdirSync(join(host.path(name), path, '..'), { recursive: true });
        writeFileSync(join(host.path(name), path), text);
      }
      return host.path(name);
    },
    local: (path) => ({ kind: 'path', path: join(folder, path) }),
  };
}
