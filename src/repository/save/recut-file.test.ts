import { randomInt, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { InFlight } from '../../model/snapshot.ts';
import { openFreshRepository, testVolume } from '../../../test/fixtures/open-repository.ts';
import { type GradedSave, saveTogether, type StillTime } from '../../../test/support/save-together.ts';
import { segmentBytes } from './save-task.ts';

const mega = 1_000_000;

type Change = (file: Buffer) => Buffer;

function at(file: Buffer): number {
  return randomInt(file.length);
}

function replaced(file: Buffer, from: number, to: number, fresh: Buffer): Buffer {
  return Buffer.concat([file.subarray(0, from), fresh, file.subarray(to)]);
}

const changes: Readonly<Record<string, Change>> = {
  nothing: (file) => file,
  'one byte': (file) => {
    const from = at(file);
    return replaced(file, from, from + 1, Buffer.from([(file[from] ?? 0) ^ 1]));
  },
  'many bytes': (file) => {
    const changed = Buffer.from(file);
    for (let i = 0; i < 20; i++) changed.writeUInt8(randomInt(256), at(file));
    return changed;
  },
  'put in': (file) => {
    const from = at(file);
    return replaced(file, from, from, randomBytes(randomInt(1, 3 * mega)));
  },
  'taken out': (file) => {
    const from = at(file);
    return replaced(file, from, Math.min(file.length, from + randomInt(1, 9 * mega)), Buffer.alloc(0));
  },
  'put before': (file) => Buffer.concat([randomBytes(1000), file]),
  appended: (file) => Buffer.concat([file, randomBytes(randomInt(1, 20 * mega))]),
  'cut off': (file) => file.subarray(0, randomInt(9 * mega, file.length)),
  'cut off and overwritten': (file) => randomBytes(file.length - randomInt(5 * mega)),
  'a part of zeros': (file) => {
    const from = at(file);
    return replaced(file, from, Math.min(file.length, from + 12 * mega), Buffer.alloc(12 * mega));
  },
  'moved about': (file) => Buffer.concat([file.subarray(file.length / 2), file.subarray(0, file.length / 2)]),
};

function fileOf(kind: number): Buffer {
  const size = segmentBytes + 6 * mega + randomInt(9 * mega);
  // Where only the maximum size ends a chunk, shifted cuts never meet again.
  return kind === 0 ? randomBytes(size) : Buffer.concat([randomBytes(mega), Buffer.alloc(size - mega, 'x')]);
}

function saveOf(root: string): GradedSave {
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

function momentOf(change: () => void): StillTime {
  return {
    liveFirst: true,
    clones: false,
    async begin() {
      change();
      return Date.now();
    },
    end: async () => undefined,
  };
}

test(
  'recutting a large file gives the blobs of a full read, for any change',
  { timeout: 60_000 },
  async () => {
    await using opened = await openFreshRepository();
    const folder = mkdtempSync(join(tmpdir(), 'recut-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const root = join(folder, 'data');
    mkdirSync(root);
    const files = new Map<string, { content: Buffer; readonly change: Change }>();
    for (const [name, change] of Object.entries(changes))
      for (const kind of name.includes('in') || name.includes('out') ? [0, 1] : [0])
        files.set(`${name} ${kind}`, { content: fileOf(kind), change });
    for (const [name, { content }] of files) writeFileSync(join(root, name), content);
    let inFlight: InFlight | undefined;
    const request: GradedSave = { ...saveOf(root), evidence: (found) => void (inFlight = found) };
    const moment = momentOf(() => {
      for (const [name, file] of files) {
        file.content = file.change(file.content);
        writeFileSync(join(root, name), file.content);
      }
    });
    const contents = async (save: GradedSave, still: StillTime): Promise<Map<string, unknown>> => {
      const [result] = await saveTogether(opened.repository, [save], still);
      expect(result?.problems).toEqual([]);
      if (result?.snapshot === undefined) throw new Error('Nothing was saved');
      const entries = await opened.walk(result.snapshot);
      return new Map(entries.map(({ path, contentKey, size }) => [path, { contentKey, size }]));
    };
    const again = await contents(request, moment);
    const full = await contents(saveOf(root), { ...momentOf(() => undefined), liveFirst: false });
    expect(again).toEqual(full);
    const sizes = [...files.values()].map(({ content }) => content.length);
    // An unchanged file stores nothing, and one changed byte at most a part.
    expect(inFlight?.bytes).toBeLessThan(sizes.reduce((sum, size) => sum + size, 0) * 0.8);
    expect((await opened.repository.check({ readDataPercent: 1 })).errors).toEqual([]);
  },
);

test('unchanged parts of a recut file are neither cut nor stored', async () => {
  await using opened = await openFreshRepository();
  const root = mkdtempSync(join(tmpdir(), 'recut-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const inFlight = async (change: Change): Promise<number | undefined> => {
    const content = randomBytes(3 * segmentBytes);
    writeFileSync(join(root, 'file'), content);
    let seen: InFlight | undefined;
    await saveTogether(
      opened.repository,
      [{ ...saveOf(root), evidence: (found) => void (seen = found) }],
      momentOf(() => writeFileSync(join(root, 'file'), change(content))),
    );
    return seen?.bytes;
  };
  expect(await inFlight((file) => file)).toBe(0);
  expect(await inFlight((file) => Buffer.concat([file, Buffer.alloc(100)]))).toBeLessThan(segmentBytes + 100);
  const flip = (file: Buffer): Buffer => replaced(file, 1000, 1001, Buffer.from([(file[1000] ?? 0) ^ 1]));
  // No chunk ends this early: all end where they did.
  expect(await inFlight(flip)).toBeLessThanOrEqual(segmentBytes);
});
