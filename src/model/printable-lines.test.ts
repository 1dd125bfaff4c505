import { expect, test } from 'vitest';
import { printableField, printableJson, printableLines } from './quote.ts';

const hostile = 'a\u001b]0;x\u0007\u009b2J\r\u202eb\u2028\u{e0041}\tc\nd\u007f';

test('lines keep their ends and tabs, and nothing else that a terminal obeys', () => {
  expect(printableLines(hostile)).toBe(
    'a\\u001b]0;x\\u0007\\u009b2J\\u000d\\u202eb\\u2028\\u{e0041}\tc\nd\\u007f',
  );
  expect(printableLines('Grüße, 漢字 👍 é')).toBe('Grüße, 漢字 👍 é');
});

test('a field stays on its line', () => {
  expect(printableField('x\ny\tz')).toBe('x\\u000ay\\u0009z');
});

test('a document stays the same document', () => {
  const value = { [hostile]: [hostile, '\\', 1.5, null] };
  const printed = printableJson(JSON.stringify(value, undefined, 2));
  expect(JSON.parse(printed)).toEqual(value);
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  expect(printed).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e\u2028]/);
});
