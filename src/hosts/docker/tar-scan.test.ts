import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { writeTar } from '../../lib/tar/write-tar.ts';
import type { Entry } from '../../model/entry.ts';
import { scanTar, TarScan } from './tar-scan.ts';

const base = { type: 'file', mode: 0o644, uid: 0, gid: 0, mtimeNs: 1n, size: 0 } as const;
const entries: readonly Entry[] = [
  { ...base, path: '', type: 'dir' },
  { ...base, path: 'a', size: 700 },
  { ...base, path: `long/${'n'.repeat(300)}`, size: 512 },
  { ...base, path: 'link', hardLinkTo: 'a', size: 700 },
  { ...base, path: 'symlink', type: 'symlink', linkTarget: 'a' },
  { ...base, path: 'empty' },
];

const archive = await buffer(writeTar(entries.map((entry) => ({ entry, open: () => zeros(entry.size) }))));

// A body of zeros looks like the end of an archive unless sizes are counted.
async function* zeros(size: number): AsyncGenerator<Uint8Array> {
  yield Buffer.alloc(size);
}

test.each([1, 7, 511, 512, 513, 100_000])(
  'a complete archive in pieces of %i bytes is recognized',
  (length) => {
    const scan = new TarScan();
    for (let at = 0; at < archive.length; at += length) scan.push(archive.subarray(at, at + length));
    expect(scan.isWhole).toBe(true);
  },
);

test('an archive truncated anywhere is incomplete', () => {
  for (let length = 0; length < archive.length; length += 37) {
    const scan = new TarScan();
    scan.push(archive.subarray(0, length));
    expect(scan.isWhole, `after ${length} bytes`).toBe(false);
  }
});

test('anything but tar is refused, and so is data after half an end', () => {
  expect(() => new TarScan().push(Buffer.alloc(512, 'x'))).toThrow(/damaged/);
  const half = Buffer.concat([Buffer.alloc(512), archive.subarray(0, 512)]);
  expect(() => new TarScan().push(half)).toThrow(/damaged/);
});

test('filling after the end is passed on', async () => {
  const padded = Buffer.concat([archive, Buffer.alloc(5000)]);
  const passed = await buffer(scanTar(pieces(padded), new TarScan(), () => new Error('not whole')));
  expect(passed.equals(padded)).toBe(true);
});

test('a stream that ends too early ends with the error that was asked for', async () => {
  const cut = scanTar(pieces(archive.subarray(0, 2000)), new TarScan(), () => new RangeError('cut'));
  await expect(buffer(cut)).rejects.toThrow(new RangeError('cut'));
});

async function* pieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 333) yield bytes.subarray(at, at + 333);
}
