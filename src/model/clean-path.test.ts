import { posix } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cleanPath, isLocalPath, resolvePath } from './clean-path.ts';

const anyPath = fc.array(fc.constantFrom('/', '.', '..', 'a', 'b', '//')).map((parts) => parts.join(''));

test('cleanPath() agrees with path.normalize(), save the slash at the end', () => {
  fc.assert(
    fc.property(anyPath, (path) => {
      const normal = posix.normalize(path);
      expect(cleanPath(path)).toBe(normal.length > 1 ? normal.replace(/\/$/, '') : normal);
    }),
    { numRuns: 1000 },
  );
});

test('isLocalPath() is true exactly for relative paths that stay inside', () => {
  fc.assert(
    fc.property(anyPath, (path) => {
      const landed = posix.resolve('/r/o/o/t', path);
      const inside = landed === '/r/o/o/t' || landed.startsWith('/r/o/o/t/');
      // `../t` returns by the name of the root, which no caller may rely on.
      fc.pre(!path.includes('t'));
      expect(isLocalPath(path)).toBe(path !== '' && !path.startsWith('/') && inside);
    }),
    { numRuns: 1000 },
  );
});

test('resolvePath() keeps an absolute path and takes a relative one from the directory', () => {
  expect(resolvePath('/a/../b', '/srv')).toBe('/b');
  expect(resolvePath('./a', '/srv')).toBe('/srv/a');
  expect(resolvePath('..', '/srv')).toBe('/');
});
