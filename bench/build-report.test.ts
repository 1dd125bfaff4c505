import { expect, it } from 'vitest';
import { buildReport } from './build-report.ts';
import { formatReport } from './format-report.ts';
import type { Peer } from './peers/peer.ts';
import { newRecords, type Records, type Sample } from './records.ts';
import type { Step } from './steps.ts';

const own: Peer = { name: 'Holdfast', programs: [], version: [] };
const other: Peer = { name: 'other', programs: [], version: [] };
const absent: Peer = { name: 'absent', programs: ['absent'], version: [] };
const save: Step = { title: 'first backup', action: 'save', dataSet: 'files', turns: 1 };
const restore: Step = { title: 'restore', action: 'restore', dataSet: 'files', turns: 1 };
const media: Step = { title: 'restore', action: 'restore', dataSet: 'media', turns: 1 };

function report(records: Records, steps: readonly Step[] = [save, restore, media]) {
  const found = [other, own].map((peer) => ({ peer, version: '1' }));
  return buildReport({ steps, found, skipped: [{ peer: absent, reason: 'not there' }], own, records });
}

function sample(wallMs: number, more: Partial<Sample> = {}): Sample {
  return { wallMs, cpuMs: wallMs / 2, peakBytes: 1_000_000, ...more };
}

it('takes medians of times and stored sizes, and the highest peak', () => {
  const records = newRecords();
  for (const [wallMs, peakBytes, storedBytes] of [
    [300, 5, 10],
    [100, 9, 30],
    [200, 7, 20],
  ] as const) {
    records.add(save, own, { wallMs, cpuMs: wallMs, peakBytes, storedBytes });
    records.add(save, other, sample(wallMs * 3));
  }
  const [figures, ours] = report(records).rows[0]?.peers ?? [];
  expect(ours).toMatchObject({ peakBytes: 9, storedBytes: 20, ratio: undefined });
  expect(ours?.wallMs).toEqual({ median: 200, least: 100, most: 300 });
  expect(figures?.ratio).toBe(3);
});

it('counts no time of a peer that restored wrong data, for that data set only', () => {
  const records = newRecords();
  for (const step of [save, restore, media]) {
    records.add(step, own, sample(100));
    records.add(step, other, sample(1));
  }
  records.distrust(other, 'files', 'wrong bytes');
  const { rows, failures } = report(records);
  expect(rows.map((row) => row.peers[0]?.wallMs?.median)).toEqual([undefined, undefined, 1]);
  expect(failures).toEqual(['other: wrong bytes\n  No figures for: first backup, files; restore, files']);
});

it('counts no time of a step that failed in one of the rounds', () => {
  const records = newRecords();
  records.add(save, own, sample(100));
  records.fail(save, own, 'exit code 1');
  records.add(save, own, sample(100));
  expect(report(records).rows[0]?.peers[1]).toMatchObject({
    wallMs: undefined,
    problem: 'exit code 1',
    samples: [],
  });
});

it('prints what is slower as slower, and what is faster without a comment', () => {
  const records = newRecords();
  records.add(save, own, sample(2000, { storedBytes: 5_000_000 }));
  records.add(save, other, sample(1000, { storedBytes: 7_000_000 }));
  records.add(restore, own, sample(500));
  records.add(restore, other, sample(1000));
  expect(formatReport(report(records, [save, restore]))).toMatchInlineSnapshot(`
    "               wall   fastest–slowest      cpu   peak memory   stored    Holdfast is

    first backup, files
      other      1.00 s     1.00 s–1.00 s   500 ms        1.0 MB   7.0 MB   0.50× slower
      Holdfast   2.00 s     2.00 s–2.00 s   1.00 s        1.0 MB   5.0 MB

    restore, files
      other      1.00 s     1.00 s–1.00 s   500 ms        1.0 MB                   2.00×
      Holdfast   500 ms     500 ms–500 ms   250 ms        1.0 MB

    Holdfast is slower than:
      first backup, files: other (0.50×)
    Skipped "absent": not there."
  `);
});

it('leaves out a peer that can not do a step, and names failures', () => {
  const records = newRecords();
  records.add(save, own, sample(100));
  records.fail(restore, own, 'it broke');
  const text = formatReport(report(records, [save, restore]));
  expect(text).not.toContain('  other ');
  expect(text).toContain('FAILED: Holdfast: it broke\n  No figures for: restore, files');
  expect(text).toMatch(/Holdfast +failed$/m);
});
