import { expect, test } from 'vitest';
import { hintOfRoot } from './fill-stream.ts';

test('the hint that root could do it is shown to other users only', () => {
  expect(hintOfRoot('Restore beside it.', 1000)).toMatch(/^As root, .*sudo holdfast .*Restore beside it\.$/);
  expect(hintOfRoot('Restore beside it.', 0)).toBe('Restore beside it.');
});
