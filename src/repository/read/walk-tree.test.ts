import { expect, test } from 'vitest';
import { openFreshRepository } from '../../../test/fixtures/open-repository.ts';
import { HandmadeSnapshot } from '../../../test/fixtures/save-by-hand.ts';

test('a walk refuses a snapshot with more entries than can exist instead of going on for ever', async () => {
  await using opened = await openFreshRepository();
  const made = new HandmadeSnapshot(opened.codec);
  let tree = made.tree([]);
  for (let level = 0; level < 20; level++) {
    const subtree = tree;
    tree = made.tree(['a', 'b', 'c', 'd'].map((name) => ({ name, type: 'dir', subtree })));
  }
  const snapshot = await made.save(tree);
  await expect(opened.walk(snapshot)).rejects.toMatchObject({
    code: 'integrity',
    message: expect.stringContaining('more than any file system can hold'),
  });
});

test('a walk goes through a snapshot with many directories of the same content', async () => {
  await using opened = await openFreshRepository();
  const made = new HandmadeSnapshot(opened.codec);
  const empty = made.tree([]);
  const names = Array.from({ length: 130 }, (_, i) => String(i));
  const many = made.tree(names.map((name) => ({ name, type: 'dir', subtree: empty })));
  const root = made.tree(names.map((name) => ({ name, type: 'dir', subtree: many })));
  expect(await opened.walk(await made.save(root))).toHaveLength(1 + 130 + 130 * 130);
});
