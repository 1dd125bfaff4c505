import { expect, test } from 'vitest';
import type { RunRecord } from '../catalog/catalog.ts';
import type { SnapshotSummary } from '../model/snapshot.ts';
import { judgeSaved } from './judge-saved.ts';
import { someSnapshot } from '../../test/fixtures/some-snapshot.ts';

function summary(files: number): SnapshotSummary {
  return {
    files,
    directories: 1,
    others: 0,
    bytes: files * 1_000_000,
    filesNew: 0,
    filesChanged: 0,
    filesUnmodified: files,
    bytesAdded: 0,
    bytesStored: 0,
    durationMs: 1,
  };
}

/** Not asked where the added bytes are enough to judge. */
const repository = {
  stats: () => Promise.reject(new Error('unexpected')),
};

const large = someSnapshot({ id: 'a1', time: '2026-01-01T00:00:00Z', summary: summary(1000) });
const unjudged = someSnapshot({ id: 'b1', time: '2026-01-02T00:00:00Z', summary: summary(1) });
const saved = someSnapshot({ id: 'c1', time: '2026-01-03T00:00:00Z', summary: summary(1) });
const run = { snapshotId: 'a1' } as RunRecord;

test.each([
  ['', large],
  [', also when a change of its tags has given it another id since', { ...large, id: 'a2', original: 'a1' }],
])('what was saved is judged beside the last snapshot that was judged itself%s', async (_, before) => {
  const work = { repository, snapshot: saved, summary: summary(1), earlier: [before, unjudged] };
  const kinds = (await judgeSaved({ listRuns: () => [run] }, work, {})).map(({ kind }) => kind);
  expect(kinds).toContain('shrank');
});

test('where none was judged, the last one is the reference', async () => {
  const work = { repository, snapshot: saved, summary: summary(1), earlier: [large, unjudged] };
  expect(await judgeSaved({ listRuns: () => [] }, work, {})).toEqual([]);
});

test('a snapshot that was never judged does not hide that all files turned to noise before it', async () => {
  const text = { ...summary(1000), filesNew: 1000, bytesAdded: 1e9, bytesStored: 3e8 };
  const encrypted = { ...summary(1000), filesChanged: 1000, bytesAdded: 1e9, bytesStored: 1e9 };
  const before = { ...large, summary: text };
  const safety = { ...unjudged, tags: ['before-restore'], summary: encrypted };
  const work = { repository, snapshot: saved, summary: summary(1000), earlier: [before, safety] };
  const found = await judgeSaved({ listRuns: () => [run] }, work, {});
  expect(found.map(({ kind }) => kind)).toEqual(['noise']);
  expect(found[0]?.message).toContain('1000 of 1000 files');
});
