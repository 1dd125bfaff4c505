import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromText } from './byte-string.ts';
import { AppError } from './errors.ts';
import { compileExcludes } from './exclude.ts';

function excluded(patterns: readonly string[], paths: readonly string[]): string[] {
  const matches = compileExcludes(patterns);
  return paths.filter((path) => matches(fromText(path.replace(/\/$/, '')), path.endsWith('/')));
}

const tree = [
  'a.log', 'cache/', 'cache/x', 'src/', 'src/a.log', 'src/cache/', 'src/cache/x', 'src/keep.log',
  'src/node_modules/', 'src/node_modules/m/', 'src/node_modules/m/i.js', 'é.txt', 'build',
]; // prettier-ignore

test.each([
  [[], []],
  [[''], []],
  [['*.log'], ['a.log', 'src/a.log', 'src/keep.log']],
  [['/a.log'], ['a.log']],
  [['/*.log'], ['a.log']],
  [['src/*.log'], ['src/a.log', 'src/keep.log']],
  [['cache'], ['cache/', 'cache/x', 'src/cache/', 'src/cache/x']],
  [['/cache'], ['cache/', 'cache/x']],
  [['/cache/**'], ['cache/x']],
  [['/src/**/x'], ['src/cache/x']],
  [['/**/x'], ['cache/x', 'src/cache/x']],
  [['node_modules'], ['src/node_modules/', 'src/node_modules/m/', 'src/node_modules/m/i.js']],
  [['m/i.js'], ['src/node_modules/m/i.js']],
  [['?.txt'], ['é.txt']],
  [['[e-ü].txt'], ['é.txt']],
  [['[^a-z].txt'], ['é.txt']],
  [['build/'], []],
  [['build'], ['build']],
  [['cache/'], ['cache/', 'cache/x', 'src/cache/', 'src/cache/x']],
  [
    ['*.log', '!keep.log'],
    ['a.log', 'src/a.log'],
  ],
  [
    ['!keep.log', '*.log'],
    ['a.log', 'src/a.log', 'src/keep.log'],
  ],
  [
    ['cache', '!x'],
    ['cache/', 'cache/x', 'src/cache/', 'src/cache/x'],
  ],
  [
    ['/src/*', '!/src/cache'],
    ['src/a.log', 'src/keep.log', 'src/node_modules/', 'src/node_modules/m/', 'src/node_modules/m/i.js'],
  ],
])('%j leaves out %j', (patterns, left) => {
  expect(excluded(patterns, tree)).toEqual(left);
  // A walk asks in any order, also about entries of folders that it never entered.
  expect(excluded(patterns, tree.toReversed()).toReversed()).toEqual(left);
});

test('everything can be left out, save the root', () => {
  expect(excluded(['*'], tree)).toEqual(tree);
  expect(excluded(['**'], tree)).toEqual(tree);
  expect(compileExcludes(['**'])('', true)).toBe(false);
});

test('characters with a meaning can be meant as they are', () => {
  expect(excluded(['\\*', '\\!a', '[]]', '[!x-z]b', 'c[a\\]]'], ['*', '!a', ']', 'ab', 'xb', 'c]', 'q'])).toEqual([
    '*', '!a', ']', 'ab', 'c]',
  ]); // prettier-ignore
});

test('names that are no UTF-8 are matched by their ASCII parts', () => {
  const matches = compileExcludes(['*.tmp', 'a?b']);
  expect(matches('\xff\xfe.tmp', false)).toBe(true);
  expect(matches('a\xffb', false)).toBe(true);
  expect(matches('\xff.txt', false)).toBe(false);
});

describe('patterns that say nothing are refused', () => {
  test.each(['/', '!', '.', 'a/../b', '[', '[a', 'a\\', '[z-a]'])('%j', (pattern) => {
    expect(() => compileExcludes([pattern])).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});

test('a pattern made to be slow is not', () => {
  const matches = compileExcludes([`${'*a'.repeat(50)}b`, `${'**/a/'.repeat(50)}b`]);
  const start = performance.now();
  expect(matches('a'.repeat(255), false)).toBe(false);
  expect(matches(Array.from({ length: 500 }, () => 'a').join('/'), false)).toBe(false);
  expect(performance.now() - start).toBeLessThan(10_000);
});

test('any pattern compiles or throws an AppError, and matches in the same way each time', () => {
  const piece = fc.constantFrom('a', 'b', '*', '**', '?', '/', '[', ']', '^', '-', '\\', '!', '.', 'é');
  const text = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''));
  const path = fc.array(fc.constantFrom('a', 'b', 'ab', 'é', '.a'), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.array(text, { maxLength: 3 }), fc.array(path), (patterns, paths) => {
      try {
        const shared = compileExcludes(patterns);
        for (const parts of paths) {
          const bytes = fromText(parts.join('/'));
          expect(shared(bytes, false)).toBe(compileExcludes(patterns)(bytes, false));
        }
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
      }
    }),
    { numRuns: 1000 },
  );
});
