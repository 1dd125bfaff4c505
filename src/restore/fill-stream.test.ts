import { expect, test } from 'vitest';
import { hintOfRoot } from './fill-stream.ts';

test('who is not root hears that root could, and root does not', () => {
  expect(hintOfRoot('Restore beside it.', 1000)).toMatch(/^As root, .*sudo holdfast .*Restore beside it\.$/);
  expect(hintOfRoot('Restore beside it.', 0)).toBe('Restore beside it.');
});
