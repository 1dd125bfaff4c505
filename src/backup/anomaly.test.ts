import { expect, test } from 'vitest';
import type { SnapshotSummary } from '../model/snapshot.ts';
import { findAnomalies } from './anomaly.ts';

const mib = 1 << 20;
const usual: SnapshotSummary = {
  files: 1000,
  directories: 10,
  others: 0,
  bytes: 100 * mib,
  filesNew: 3,
  filesChanged: 10,
  filesUnmodified: 987,
  bytesAdded: 6 * mib,
  bytesStored: 2 * mib,
  durationMs: 1000,
};
const kinds = (now: Partial<SnapshotSummary>, before: Partial<SnapshotSummary> | undefined = {}): string[] =>
  findAnomalies(before && { ...usual, ...before }, { ...usual, ...now }).map(({ kind }) => kind);

test('an ordinary day and a first backup are no anomaly', () => {
  expect(kinds({})).toEqual([]);
  expect(
    findAnomalies(undefined, { ...usual, filesNew: 1000, bytesAdded: 100 * mib, bytesStored: 100 * mib }),
  ).toEqual([]);
  expect(kinds({ bytes: 60 * mib, files: 600 })).toEqual([]);
  expect(kinds({ bytes: 300 * mib, files: 3000 })).toEqual([]);
});

test('a volume that lost more than half of its bytes or files shrank, also when it is empty', () => {
  expect(kinds({ bytes: 49 * mib })).toEqual(['shrank']);
  expect(kinds({ files: 10 })).toEqual(['shrank']);
  expect(kinds({ files: 0, bytes: 0, filesNew: 0, filesChanged: 0 })).toEqual(['shrank']);
  expect(kinds({ bytes: 1 * mib, files: 1 }, { bytes: 3 * mib, files: 5 })).toEqual([]);
});

test('a volume more than four times as large grew, unless it was nearly empty', () => {
  expect(kinds({ bytes: 401 * mib })).toEqual(['grew']);
  expect(kinds({ bytes: 401 * mib }, { bytes: 2 * mib })).toEqual([]);
});

test('a volume that is all new and incompressible turned to noise, unless it was noise before', () => {
  const encrypted = {
    filesNew: 0,
    filesChanged: 1000,
    filesUnmodified: 0,
    bytesAdded: 100 * mib,
    bytesStored: 100 * mib,
  };
  expect(kinds(encrypted)).toEqual(['noise']);
  expect(kinds({ ...encrypted, filesNew: 1000, filesChanged: 0 })).toEqual(['noise']);
  expect(kinds(encrypted, { bytesAdded: 1000 })).toEqual(['noise']);
  expect(kinds(encrypted, { bytesAdded: 50 * mib, bytesStored: 49.9 * mib })).toEqual([]);
  expect(kinds({ ...encrypted, bytesStored: 40 * mib })).toEqual([]);
});
