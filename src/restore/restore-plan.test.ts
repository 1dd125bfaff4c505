import { expect, test } from 'vitest';
import { outageNotes } from './restore-plan.ts';

test('outageNotes() announces a long stop only where containers run on a mount point', () => {
  const volume = { kind: 'volume', name: 'pg' } as const;
  expect(outageNotes(['db'], { ...volume, canKeep: false })).toEqual([
    expect.stringContaining('"pg" cannot be swapped as a whole'),
  ]);
  expect(outageNotes([], { ...volume, canKeep: false })).toEqual([]);
  expect(outageNotes(['db'], { ...volume, canKeep: true })).toEqual([]);
  expect(outageNotes(['db'], { kind: 'new-volume', name: 'pg' })).toEqual([]);
});
