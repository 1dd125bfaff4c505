import { randomBytes, randomInt } from 'node:crypto';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openFreshRepository, testVolume } from '../../../test/fixtures/open-repository.ts';
import { saveTogether, type StillTime } from '../../../test/support/save-together.ts';
import type { SaveOptions, SnapshotEntry } from '../types.ts';

const mebi = 1024 * 1024;

interface Written {
  readonly offset: number;
  readonly content: Buffer;
}

interface Layout {
  readonly size: number;
  readonly runs: readonly Written[];
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'holes-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function saveOf(root: string): SaveOptions {
  return {
    source: { kind: 'directory', root },
    volume: { ...testVolume, name: root },
    tags: [],
    hostname: 'host',
    timeMs: Date.now(),
    grade: 'crash',
    excludePatterns: [],
  };
}

function writeHoly(path: string, { size, runs }: Layout): void {
  const fd = openSync(path, 'w');
  try {
    ftruncateSync(fd, size);
    for (const { offset, content } of runs) writeSync(fd, content, 0, content.length, offset);
  } finally {
    closeSync(fd);
  }
}

/** The same with written zeros. */
function writeFull(path: string, { size, runs }: Layout): void {
  const content = Buffer.alloc(size);
  for (const run of runs) run.content.copy(content, run.offset);
  writeFileSync(path, content);
}

/** Without the root, whose tree records the holes. */
function contentsOf(entries: readonly SnapshotEntry[]): Map<string, unknown> {
  const files = entries.filter(({ path }) => path !== '');
  return new Map(files.map(({ path, contentKey, size }) => [path, { contentKey, size }]));
}

function layoutOf(head: Buffer | undefined): Layout {
  const size = 20 * mebi + randomInt(20 * mebi);
  const runs: Written[] = head === undefined ? [] : [{ offset: 0, content: head }];
  for (let i = randomInt(5); i > 0; i--) {
    // Next to the ends of chunks of zeros, or anywhere.
    const near = randomInt(Math.floor(size / (512 * 1024))) * 512 * 1024 + randomInt(3) - 1;
    const offset = Math.max(0, randomInt(2) === 0 ? near : randomInt(size));
    const length = Math.min(size - offset, randomInt(2) === 0 ? randomInt(1, 100) : randomInt(1, 3 * mebi));
    if (head === undefined || offset >= head.length) runs.push({ offset, content: randomBytes(length) });
  }
  return { size, runs };
}

function databaseHead(): Buffer {
  const head = Buffer.alloc(4096);
  head.write('SQLite format 3\0', 'latin1');
  head.writeUInt16BE(4096, 16);
  return head;
}

test(
  'a file with holes has the blobs that it has when its zeros are read',
  { timeout: 120_000 },
  async () => {
    await using opened = await openFreshRepository();
    const folder = newFolder();
    const [holy, full] = [join(folder, 'holy'), join(folder, 'full')];
    for (const root of [holy, full]) mkdirSync(root);
    const edges = [0, 1, 63, 64, 65, 512 * 1024 - 1, 512 * 1024, 512 * 1024 + 65].map((length) => ({
      size: 20 * mebi + 512 * 1024 + length,
      runs: [{ offset: 8 * mebi, content: randomBytes(length) }],
    }));
    const layouts = [
      ...edges,
      ...Array.from({ length: 9 }, (_, i) => layoutOf(i % 3 === 0 ? databaseHead() : undefined)),
    ];
    let skipped = 0;
    for (const [i, layout] of layouts.entries()) {
      writeHoly(join(holy, `file-${i}`), layout);
      writeFull(join(full, `file-${i}`), layout);
      skipped += layout.size - statSync(join(holy, `file-${i}`)).blocks * 512;
    }
    expect(skipped).toBeGreaterThan(100 * mebi);
    const contents = async (root: string): Promise<Map<string, unknown>> => {
      const result = await opened.repository.save(saveOf(root));
      expect(result.problems).toEqual([]);
      if (result.snapshot === undefined) throw new Error('Nothing was saved');
      return contentsOf(await opened.walk(result.snapshot));
    };
    const read = await contents(full);
    expect(read.size).toBe(layouts.length);
    expect(await contents(holy)).toEqual(read);
  },
);

test(
  'reading a file with holes again gives the blobs of a full read, for any change',
  { timeout: 120_000 },
  async () => {
    await using opened = await openFreshRepository();
    const root = join(newFolder(), 'data');
    mkdirSync(root);
    const changes: Readonly<Record<string, (path: string, size: number) => void>> = {
      nothing: () => undefined,
      'a byte in a hole': (path, size) => writeAt(path, size - 5 * mebi + 77, Buffer.from('x')),
      'a byte of data': (path) => writeAt(path, 9 * mebi + 5, Buffer.from('y')),
      'cut off in a hole': (path, size) => truncateSync(path, size - 7 * mebi - 12_345),
      grown: (path, size) => truncateSync(path, size + 30 * mebi + 999),
    };
    const files = Object.entries(changes).flatMap(([name, change]) =>
      [undefined, databaseHead()].map((head, i) => ({ path: join(root, `${name} ${i}`), change, head })),
    );
    for (const { path, head } of files)
      writeHoly(path, {
        size: 40 * mebi + 1234,
        runs: [
          ...(head === undefined ? [] : [{ offset: 0, content: head }]),
          { offset: 9 * mebi, content: randomBytes(mebi) },
        ],
      });
    const moment = (change: () => void, liveFirst: boolean): StillTime => ({
      liveFirst,
      clones: false,
      async begin() {
        change();
        return Date.now();
      },
      end: async () => undefined,
    });
    const contents = async (still: StillTime): Promise<Map<string, unknown>> => {
      const [result] = await saveTogether(opened.repository, [saveOf(root)], still);
      expect(result?.problems).toEqual([]);
      if (result?.snapshot === undefined) throw new Error('Nothing was saved');
      return contentsOf(await opened.walk(result.snapshot));
    };
    const again = await contents(
      moment(() => files.forEach(({ path, change }) => change(path, 40 * mebi + 1234)), true),
    );
    for (const { path } of files) {
      const { size } = statSync(path);
      const content = Buffer.alloc(size);
      const fd = openSync(path, 'r');
      readAll(fd, content);
      closeSync(fd);
      rmSync(path);
      writeFileSync(path, content);
    }
    expect(await contents(moment(() => undefined, false))).toEqual(again);
  },
);

test(
  'a file of 64 GiB with six bytes in it is saved without reading its holes',
  { timeout: 60_000 },
  async () => {
    await using opened = await openFreshRepository();
    const root = join(newFolder(), 'data');
    mkdirSync(root);
    const path = join(root, 'file');
    writeHoly(path, {
      size: 64 * 1024 * mebi,
      runs: [{ offset: 1024 * mebi, content: Buffer.from('bytes!') }],
    });
    const result = await opened.repository.save(saveOf(root));
    expect(result.problems).toEqual([]);
    expect(result.summary.bytes).toBe(64 * 1024 * mebi);
  },
);

function writeAt(path: string, offset: number, content: Buffer): void {
  const fd = openSync(path, 'r+');
  try {
    writeSync(fd, content, 0, content.length, offset);
  } finally {
    closeSync(fd);
  }
}

function readAll(fd: number, content: Buffer): void {
  for (let at = 0; at < content.length;) at += readSync(fd, content, at, content.length - at, at);
}
