import { createCipheriv, createHash, hash } from 'node:crypto';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { Chunker } from '../../src/repository/chunker/chunker.ts';
import { newMasterKey } from '../../src/repository/crypto/key-file.ts';
import { Sealer } from '../../src/repository/crypto/seal.ts';
import { saveConfig } from '../../src/repository/format/config-file.ts';
import type { SnapshotEntry } from '../../src/repository/index.ts';
import { storeKey } from '../../src/repository/keys/key-store.ts';
import { openLocalStore } from '../../src/repository/stores/local.ts';
import { openTestRepository, saveDirectory } from '../support/repository-fixture.ts';
import { resticCommand, resticPassword } from '../support/restic-command.ts';

/** The polynomial of restic's own chunker tests. */
const polynomial = 0x3da3358b4dc173n;
const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;

let folder: string;
let source: string;
let location: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'chunker-'));
  source = join(folder, 'source');
  location = join(folder, 'repository');
  mkdirSync(source);
  const store = openLocalStore(location);
  const masterKey = newMasterKey();
  await store.create();
  await storeKey(store, { masterKey, password: Buffer.from(resticPassword) });
  await saveConfig(store, new Sealer(masterKey), { version: 2, id: 'ab'.repeat(32), polynomial });
  return () => rmSync(folder, { recursive: true, force: true });
});

/** The same bytes on every machine: a key stream of AES-128. */
function pseudoRandom(length: number, seed = 0): Buffer {
  const key = Buffer.from([...Array(16).keys()].map((i) => i + seed));
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

interface ResticNode {
  readonly name: string;
  readonly content: readonly string[] | null;
}

/** The blobs that restic stored for each file of the newest snapshot. */
async function resticContents(): Promise<Map<string, readonly string[]>> {
  const restic = resticCommand(location);
  const [snapshot] = JSON.parse(await restic.run('snapshots', '--json', 'latest')) as { short_id: string }[];
  const text = await restic.run('cat', 'tree', `${snapshot?.short_id}:${source}`);
  const { nodes } = JSON.parse(text) as { nodes: ResticNode[] };
  return new Map(nodes.map(({ name, content }) => [name, content ?? []]));
}

/** Sizes at the minimum, the maximum, the pieces that large files are read in, and oddly cut data. */
const files: Readonly<Record<string, () => Buffer>> = {
  'size-0': () => Buffer.alloc(0),
  'size-1': () => pseudoRandom(1),
  'size-511k': () => pseudoRandom(511 * kibibyte, 1),
  'size-512k-1': () => pseudoRandom(512 * kibibyte - 1, 2),
  'size-512k': () => pseudoRandom(512 * kibibyte, 3),
  'size-512k+1': () => pseudoRandom(512 * kibibyte + 1, 4),
  'size-8m-1': () => pseudoRandom(8 * mebibyte - 1, 5),
  'size-8m': () => pseudoRandom(8 * mebibyte, 6),
  'size-8m+1': () => pseudoRandom(8 * mebibyte + 1, 7),
  'size-16m': () => pseudoRandom(16 * mebibyte, 8),
  'size-16m+1': () => pseudoRandom(16 * mebibyte + 1, 9),
  'sevens-8m': () => Buffer.alloc(8 * mebibyte, 7),
  'sevens-24m+100': () => Buffer.alloc(24 * mebibyte + 100, 7),
  'zeros-30m': () => Buffer.alloc(30 * mebibyte),
  'period-20m': () => Buffer.alloc(20 * mebibyte, 'abcdefghijk'),
  'mixed-20m': () =>
    Buffer.concat([
      pseudoRandom(3 * mebibyte, 10),
      Buffer.alloc(9 * mebibyte, 7),
      pseudoRandom(8 * mebibyte, 11),
    ]),
  'random-100m': () => pseudoRandom(100 * mebibyte, 12),
};

test('Holdfast cuts every file into the very chunks that restic cuts it into', async () => {
  for (const [name, make] of Object.entries(files)) writeFileSync(join(source, name), make());
  // Its holes are not read: 19 MiB behind data that ends anywhere, with more data up to an arbitrary end.
  const holes = openSync(join(source, 'holes-60m'), 'w');
  writeSync(holes, pseudoRandom(3 * mebibyte + 777, 13), 0);
  writeSync(holes, pseudoRandom(5, 14), 0, 5, 22 * mebibyte + 1);
  ftruncateSync(holes, 60 * mebibyte + 4321);
  closeSync(holes);
  await using repository = await openTestRepository(location);
  const { snapshot } = await saveDirectory(repository, source, { parent: undefined });
  if (!snapshot) throw new Error('Nothing was saved');
  const ours = new Map<string, SnapshotEntry>();
  for await (const entry of repository.walk(snapshot, '')) ours.set(entry.path, entry);

  await resticCommand(location).run('backup', source);
  const theirs = await resticContents();
  for (const name of [...Object.keys(files), 'holes-60m']) {
    const content = ours.get(name)?.contentKey.match(/.{64}/g) ?? [];
    expect(content, name).toEqual(theirs.get(name));
  }
  expect(theirs.get('random-100m')?.length).toBeGreaterThan(40);
});

test('the cuts recorded in the unit tests are restic’s', async () => {
  const content = pseudoRandom(12 * mebibyte);
  writeFileSync(join(source, 'noise'), content);
  await resticCommand(location).run('backup', source);
  const ids = (await resticContents()).get('noise') ?? [];
  const chunker = new Chunker(polynomial, content.length);
  content.copy(chunker.buffer);
  const cuts: number[] = [];
  for (let at = 0; at < content.length; at = cuts.at(-1) ?? 0)
    cuts.push(chunker.findEnd(at, content.length, true) ?? 0);
  expect(cuts.slice(0, 3)).toEqual([1_285_009, 1_840_062, 2_429_543]);
  expect(cuts.map((cut, i) => hash('sha256', content.subarray(cuts[i - 1] ?? 0, cut)))).toEqual(ids);
});

test('a stream is cut like a directory', async () => {
  const content = pseudoRandom(40 * mebibyte, 3);
  writeFileSync(join(source, 'file'), content);
  await using repository = await openTestRepository(location);
  const direct = await saveDirectory(repository, source, { parent: undefined });
  const base = { uid: 0, gid: 0, mtimeNs: 0n };
  const entries = async function* () {
    yield { entry: { ...base, path: '', type: 'dir' as const, mode: 0o755, size: 0 }, body: pieces([]) };
    const entry = { ...base, path: 'file', type: 'file' as const, mode: 0o644, size: content.length };
    yield {
      entry,
      body: pieces(Array.from({ length: 641 }, (_, i) => content.subarray(i * 65_521, (i + 1) * 65_521))),
    };
  };
  const streamed = await repository.save({
    source: { kind: 'entries', entries: entries() },
    volume: direct.snapshot?.volume as NonNullable<NonNullable<typeof direct.snapshot>['volume']>,
    tags: [],
    hostname: 'test-host',
    timeMs: Date.now(),
    grade: 'cold',
    excludePatterns: [],
  });
  expect(streamed.summary.bytesAdded).toBeLessThan(10_000);
  if (!streamed.snapshot) throw new Error('Nothing was saved');
  const digest = createHash('sha256');
  for await (const entry of repository.walk(streamed.snapshot, ''))
    if (entry.type === 'file')
      for await (const piece of repository.readFile(streamed.snapshot, entry)) digest.update(piece);
  expect(digest.digest('hex')).toBe(hash('sha256', content));
});

async function* pieces(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield chunk;
}
