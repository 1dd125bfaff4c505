import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';

const root = dirname(import.meta.dirname);

test('no test offers a plugin to all engines of the machine', () => {
  const all = globSync('test/**/*.ts', { cwd: root, exclude: ['test/kernel/guest/**'] });
  const offering = all.filter((path) =>
    /['"`]\/run\/docker\/plugins/.test(readFileSync(join(root, path), 'utf8')),
  );
  expect(all.length).toBeGreaterThan(100);
  expect(offering).toEqual([]);
});
