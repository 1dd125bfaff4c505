import { expect, test } from 'vitest';
import type { BlobReader } from './blob-reader.ts';
import { EntryBound } from './entry-bound.ts';

/** Distinct ids, distributed like hashes. */
function idOf(index: number): string {
  return (Math.imul(index, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0').padEnd(64, '0');
}

async function countedAfter(visits: number, id: (index: number) => string): Promise<string[]> {
  const counted: string[] = [];
  const readTree = (tree: string): Promise<never[]> => {
    counted.push(tree);
    return Promise.resolve([]);
  };
  const bound = new EntryBound({ readTree } as unknown as BlobReader, 'root');
  for (let index = 0; index < visits; index++) await bound.visit(id(index));
  return counted;
}

test('more than half a million directories that are all different are not counted a second time', async () => {
  expect(await countedAfter(2 ** 19, idOf)).toEqual([]);
});

test('a few directories that are walked again and again are counted', async () => {
  expect(await countedAfter(2 ** 14, (index) => idOf(index % 1000))).toEqual(['root']);
});

test('many directories that were made to have ids which look alike are counted', async () => {
  const alike = (index: number): string => `00000000${(index % 70_000).toString(16).padStart(56, '0')}`;
  expect(await countedAfter(2 ** 17, alike)).toEqual(['root']);
});
