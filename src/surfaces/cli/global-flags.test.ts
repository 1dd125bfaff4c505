import { expect, test } from 'vitest';
import { takeLeadingFlags } from './global-flags.ts';

test('flags before the command are taken with their values, and the command is not', () => {
  expect(takeLeadingFlags(['--repo', 'r', '-q', '--format=json', 'df', '-y'])).toEqual({
    flags: { repo: 'r', quiet: true, format: 'json' },
    rest: ['df', '-y'],
  });
  expect(() => takeLeadingFlags(['--repo'])).toThrow('needs a value');
});

test.each(['toString', 'constructor', '__proto__', '--toString'])('%s is no flag', (word) => {
  expect(takeLeadingFlags([word, 'x'])).toEqual({ flags: {}, rest: [word, 'x'] });
});
