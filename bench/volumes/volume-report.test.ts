import { expect, test } from 'vitest';
import { Samples } from './samples.ts';
import { formatVolumeFigures, volumeFigures } from './volume-report.ts';
import type { VolumeRow } from './volume-rows.ts';

const create: VolumeRow = { title: 'create', aim: { kind: 'times faster', times: 1 } };
const usage: VolumeRow = { title: 'usage', aim: { kind: 'times faster', times: 10 } };
const run: VolumeRow = { title: 'run', aim: { kind: 'at most more', ms: 10 } };

test('medians decide, and an aim is reached or missed by them', () => {
  const samples = seen({
    create: [
      [1, 2, 90],
      [3, 4, 5],
    ],
    usage: [[10], [90]],
    run: [
      [110, 500, 308],
      [100, 490, 300],
    ],
  });
  const figures = volumeFigures([create, usage, run], samples);
  expect(figures.map(({ title, ratio, moreMs, isReached }) => [title, ratio, moreMs, isReached])).toEqual([
    ['create', 2, -2, true],
    ['usage', 9, -80, false],
    ['run', 300 / 308, 10, true],
  ]);
  const text = formatVolumeFigures(figures);
  expect(text.slice(text.indexOf('Missed:'))).toBe('Missed:\n  usage: 9.00×');
  expect(text).toContain('10.0 ms more   10 ms more');
});

test('without a comparison there is no ratio, and no aim is missed', () => {
  const [figures] = volumeFigures([create], seen({ create: [[5], []] }));
  expect(figures).toMatchObject({ ratio: undefined, moreMs: undefined, isReached: undefined });
  expect(formatVolumeFigures(figures === undefined ? [] : [figures])).not.toContain('Missed');
});

test('a row that exceeds its limit is named', () => {
  const text = formatVolumeFigures(
    volumeFigures([run, create], seen({ run: [[120], [100]], create: [[4], [2]] })),
  );
  expect(text.slice(text.indexOf('Missed:'))).toBe('Missed:\n  run: 20.0 ms more\n  create: 0.50× slower');
});

function seen(times: Readonly<Record<string, readonly [readonly number[], readonly number[]]>>): Samples {
  const samples = new Samples();
  for (const [row, [own, other]] of Object.entries(times)) {
    for (const ms of own) samples.add(row, 'Holdfast', ms);
    for (const ms of other) samples.add(row, 'dockerd', ms);
  }
  return samples;
}
