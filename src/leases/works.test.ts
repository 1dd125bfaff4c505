import { expect, test } from 'vitest';
import { excludes } from '../../test/fixtures/excludes.ts';
import { type Work, works } from './works.ts';

const all = Object.keys(works) as Work[];

test('readers go on beside each other and beside one backup; what changes data goes on alone', () => {
  const beside = (work: Work): Work[] => all.filter((other) => !excludes(work, other));
  const readers = ['clone', 'copy from', 'export'];
  const keepers = ['resize', 'rotate the keys of', 'change the owner of', 'run a command with'];
  const sharing = [...readers, ...keepers];
  const expected: Partial<Record<Work, string[]>> = {
    'back up': sharing,
    'drop what is kept of': sharing,
    ...Object.fromEntries(sharing.map((work) => [work, ['back up', 'drop what is kept of', ...sharing]])),
  };
  for (const work of all) expect(beside(work), work).toEqual(expected[work] ?? []);
});

test('whichever of two works comes first, the answer is the same', () => {
  for (const one of all) for (const other of all) expect(excludes(one, other)).toBe(excludes(other, one));
});
