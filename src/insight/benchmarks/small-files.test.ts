import {
  fstatSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DirectoryHandle } from '../../lib/directory-handle.ts';
import { fromText } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import type { Host } from '../../hosts/host.ts';
import { makeBenchFolder, removeLeftBenchmarks } from './bench-folder.ts';
import { measureSmallFiles, smallFileCount } from './small-files.ts';
import { openTestFile, removeLeftovers } from './test-file.ts';

let folder: string;
let volume: string;
let root: DirectoryHandle;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bench-'));
  volume = join(folder, 'volume');
  mkdirSync(volume);
  root = DirectoryHandle.open(fromText(volume));
});
afterEach(() => {
  root[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

/** Small files in a folder of a benchmark, as a benchmark measures them. */
async function measure(count: number, signal?: AbortSignal) {
  await using own = await makeBenchFolder(root, where());
  return await measureSmallFiles(own.directory, { count, signal });
}

function where() {
  return { stateDir: join(folder, 'state'), hostIdentity: 'host', volume: 'pg', identity: 'of pg' };
}

test('small files take no more room than what was asked for', async () => {
  expect(smallFileCount(1 << 20, { isQuick: false })).toBe(256);
  expect(smallFileCount(1 << 20, { isQuick: true })).toBe(256);
  expect(smallFileCount(1 << 30, { isQuick: true })).toBe(1000);
  expect(smallFileCount(1 << 30, { isQuick: false })).toBe(5000);
  await using own = await makeBenchFolder(root, where());
  const folderPath = join(volume, readdirSync(volume)[0] ?? '');
  const stop = new AbortController();
  const seen = new Set<string>();
  const watched = watch(folderPath, (_, name) => void seen.add(String(name)));
  await measureSmallFiles(own.directory, { count: 3, signal: stop.signal });
  await expect.poll(() => seen.size).toBe(3);
  watched.close();
});

test('small files are made, looked at, read and removed, and their folder is gone', async () => {
  const measures = await measure(100);
  expect(measures.map(({ name }) => name)).toEqual([
    'files-create',
    'files-stat',
    'files-read',
    'files-remove',
  ]);
  for (const { rate, latency } of measures) {
    expect(rate).toBeGreaterThan(0);
    expect(latency?.p99Ms).toBeGreaterThanOrEqual(latency?.p50Ms ?? Infinity);
  }
  expect(readdirSync(volume)).toEqual([]);
});

test('a link that a container puts there is not written through, and all is removed', async () => {
  const victim = join(folder, 'victim');
  writeFileSync(victim, 'mine');
  const measuring = measure(400);
  const refused = expect(measuring).rejects.toMatchObject({ code: 'EEXIST' });
  let own = '';
  while (own === '') {
    own = readdirSync(volume)[0] ?? '';
    if (own === '') await setImmediate();
  }
  symlinkSync(victim, join(volume, own, 'f399'));
  await refused;
  expect(readFileSync(victim, 'utf8')).toBe('mine');
  expect(readdirSync(volume)).toEqual([]);
});

test('a cancelled measurement leaves nothing', async () => {
  const cancel = new AbortController();
  const measuring = measure(100_000, cancel.signal);
  const cancelled = expect(measuring).rejects.toMatchObject({ code: 'cancelled' });
  while (readdirSync(volume).length === 0) await setImmediate();
  cancel.abort();
  await cancelled;
  expect(readdirSync(volume)).toEqual([]);
});

test('what a kill has left is removed, and nothing else', async () => {
  const left = join(volume, '.holdfast-bench-0123456789abcdef');
  mkdirSync(left);
  writeFileSync(join(left, 'f1'), 'x');
  symlinkSync(folder, join(volume, '.holdfast-bench-fedcba9876543210'));
  for (const name of ['.holdfast-bench-', '.holdfast-bench-0123456789abcdef0', 'data'])
    mkdirSync(join(volume, name));
  await removeLeftovers(root);
  expect(readdirSync(volume).toSorted()).toEqual([
    '.holdfast-bench-',
    '.holdfast-bench-0123456789abcdef0',
    'data',
  ]);
  expect(readdirSync(folder)).toEqual(['volume']);
});

test('the file that is measured has no name', async () => {
  using file = await openTestFile(
    { folder: root, isNamed: false },
    { sizeBytes: 1 << 20, signal: undefined },
  );
  expect(file.fd).toBeGreaterThan(2);
  expect(readdirSync(volume)).toEqual([]);
});

test('a file with a name lies in the folder of the benchmark, and takes no room when it is closed', async () => {
  await using own = await makeBenchFolder(root, where());
  const inFolder = (): string[] => readdirSync(join(volume, readdirSync(volume)[0] ?? ''));
  const other = join(volume, 'other');
  {
    const place = { folder: own.directory, isNamed: true };
    using file = await openTestFile(place, { sizeBytes: 1 << 20, signal: undefined });
    expect(inFolder().length).toBe(1);
    expect(fstatSync(file.fd).size).toBe(1 << 20);
    linkSync(join(volume, readdirSync(volume)[0] ?? '', inFolder()[0] ?? ''), other);
  }
  expect(inFolder()).toEqual([]);
  expect(statSync(other).size).toBe(0);
});

describe('a recovery', () => {
  const notes: string[] = [];
  /** By their names, the identities of the volumes that there are now. */
  let identities: Record<string, string> = {};
  const recover = async (identity: string, openData: Host['openData']): Promise<void> => {
    const listVolumes = async () => Object.keys(identities).map((name) => ({ name }));
    const host = { info: async () => ({ identity }), openData, listVolumes } as unknown as Host;
    const catalog = { volumeIdentity: (_: string, name: string) => identities[name] } as unknown as Catalog;
    const scope = { stateDir: where().stateDir, host: async () => host, catalog: async () => catalog };
    await removeLeftBenchmarks(scope, { onNote: (note) => notes.push(note) });
  };
  const here = async () => ({
    way: 'direct' as const,
    root: fromText(volume),
    [Symbol.asyncDispose]: async () => undefined,
  });
  const journals = (): string[] => readdirSync(join(where().stateDir, 'journal-bench'));
  /** What a kill leaves: the folder and its journal, without its lock. */
  const kill = async (): Promise<string> => {
    const made = await makeBenchFolder(root, where());
    const [name = ''] = readdirSync(volume).filter((one) => one.startsWith('.holdfast-bench-'));
    const [journal = ''] = journals().filter((one) => one.endsWith('.json'));
    const text = readFileSync(join(where().stateDir, 'journal-bench', journal), 'utf8');
    await made[Symbol.asyncDispose]();
    mkdirSync(join(volume, name));
    writeFileSync(join(volume, name, 'f1'), 'x');
    writeFileSync(join(where().stateDir, 'journal-bench', journal), text);
    return name;
  };
  beforeEach(() => (identities = { pg: 'of pg' }));
  afterEach(() => notes.splice(0));

  test('leaves the folder of a benchmark that is under way', async () => {
    await using _own = await makeBenchFolder(root, where());
    await recover('host', here);
    expect(readdirSync(volume).length).toBe(1);
    expect(notes).toEqual([]);
  });

  test('removes what a killed one has left, and forgets it', async () => {
    await kill();
    await recover('host', here);
    expect(readdirSync(volume)).toEqual([]);
    expect(journals()).toEqual([]);
    expect(notes).toEqual(['What a killed benchmark has left in "pg" was removed.']);
  });

  test('removes it from a volume that was renamed since, whatever has its name now', async () => {
    await kill();
    identities = { pg: 'of another', old: 'of pg' };
    const opened: string[] = [];
    await recover('host', async (name) => {
      opened.push(name);
      return await here();
    });
    expect(opened).toEqual(['old']);
    expect(readdirSync(volume)).toEqual([]);
    expect(notes).toEqual(['What a killed benchmark has left in "old" was removed.']);
  });

  test('forgets a folder that is gone with the volume it was in, and says nothing', async () => {
    const name = await kill();
    rmSync(join(volume, name), { recursive: true });
    await recover('host', here);
    expect([journals(), notes]).toEqual([[], []]);
  });

  test('leaves what belongs to another host, and tells what it cannot reach', async () => {
    const name = await kill();
    await recover('elsewhere', here);
    await recover('host', async () => {
      throw new AppError('unavailable', 'The server does not answer');
    });
    expect(readdirSync(volume)).toEqual([name]);
    expect(notes).toEqual([
      'What a killed benchmark has left in "pg" cannot be removed: The server does not answer',
    ]);
    await recover('host', async () => {
      throw new AppError('not-found', 'There is no volume "pg"');
    });
    expect(journals()).toEqual([]);
  });

  test('removes no other name that a journal holds', async () => {
    await kill();
    const [journal = ''] = journals();
    mkdirSync(join(volume, 'data'));
    writeFileSync(
      join(where().stateDir, 'journal-bench', journal),
      JSON.stringify({ hostIdentity: 'host', volume: 'pg', name: '../volume/data' }),
    );
    await recover('host', here);
    expect(readdirSync(volume)).toContain('data');
  });
});
