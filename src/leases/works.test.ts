import { expect, test } from 'vitest';
import { excludes } from '../../test/fixtures/excludes.ts';
import { type Work, works } from './works.ts';

const all = Object.keys(works) as Work[];

test('readers run beside each other and beside one backup; what changes data runs alone', () => {
  const beside = (work: Work): Work[] => all.filter((other) => !excludes(work, other));
  const readers = ['clone', 'copy from', 'export'];
  const keepers = ['resize', 'rotate the keys of', 'change the owner of', 'run a command with'];
  const sharing = [...readers, ...keepers];
  // They take turns with each other, and read.
  const inTurn = ['back up', 'drop what is kept of', 'measure the speed of'];
  const besides = (...others: string[]): string[] =>
    all.filter((work) => others.includes(work) || sharing.includes(work));
  const expected: Partial<Record<Work, string[]>> = Object.fromEntries([
    ...inTurn.map((work) => [work, besides()]),
    ...sharing.map((work) => [work, besides(...inTurn)]),
  ]);
  for (const work of all) expect(beside(work), work).toEqual(expected[work] ?? []);
});

test('of two works, either order gives the same answer', () => {
  for (const one of all) for (const other of all) expect(excludes(one, other)).toBe(excludes(other, one));
});
