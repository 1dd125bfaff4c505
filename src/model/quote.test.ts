import fc from 'fast-check';
import { expect, test } from 'vitest';
import { quote } from './quote.ts';

test('quote() shows names as Go’s %q does', () => {
  expect(quote('pg')).toBe('"pg"');
  expect(quote('a"b\\c')).toBe(String.raw`"a\"b\\c"`);
  expect(quote('a\n\t\x1b\x7f')).toBe(String.raw`"a\n\t\x1b\x7f"`);
  expect(quote('é 😀')).toBe('"é 😀"');
  expect(quote('\u202e\u00a0\u{e0041}')).toBe(String.raw`"\u202e\u00a0\U000e0041"`);
});

test('the result of quote() is safe for a terminal', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(quote(text)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
    }),
  );
});
