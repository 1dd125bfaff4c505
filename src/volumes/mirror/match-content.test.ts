import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { DataRun, Entry } from '../../model/entry.ts';
import { matchContent } from './match-content.ts';
import { type PieceCodes, pieceBytes } from './piece-codes.ts';
import { dataRuns } from '../../lib/posix.ts';

let folder: string;
let open: DisposableStack;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'match-'));
  open = new DisposableStack();
});
afterEach(() => {
  open.dispose();
  rmSync(folder, { recursive: true });
});

const pieces = 12;
const size = pieces * pieceBytes;

/** A file of that size with some pieces of data, and holes elsewhere. */
function fileWith(name: string, withData: readonly number[]): number {
  const fd = open.adopt(openSync(join(folder, name), 'w+'), closeSync);
  ftruncateSync(fd, size);
  for (const index of withData)
    writeSync(fd, Buffer.alloc(pieceBytes, 'x'), 0, pieceBytes, index * pieceBytes);
  return fd;
}

const entryWith = (runs: readonly DataRun[] | undefined): Entry => ({
  ...{ path: 'file', type: 'file', mode: 0o600, uid: 0, gid: 0, mtimeNs: 0n, size },
  ...(runs && { dataRuns: runs }),
});

/** Codes that know nothing, and count the calls. */
function countingCodes(): PieceCodes & { readonly asked: () => number } {
  let asked = 0;
  return {
    asked: () => asked,
    of() {
      asked++;
      return Buffer.alloc(16, 1);
    },
    isKnown: () => false,
    note() {},
    forget() {},
    cut() {},
  };
}

test('a piece is read once, though a long run of one file covers several of the other', async () => {
  const all = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
  const from = fileWith('from', all);
  const to = fileWith('to', [1, 4, 8]);
  const entry = entryWith(dataRuns(from, size));
  expect(entry.dataRuns).toHaveLength(1);
  expect(dataRuns(to, size)).toHaveLength(3);
  const codes = countingCodes();
  expect(await matchContent({ from, to, entry }, { codes, mends: true })).toEqual({
    isSame: true,
    writtenBytes: 7 * pieceBytes,
  });
  expect(codes.asked()).toBe(all.length);
});
