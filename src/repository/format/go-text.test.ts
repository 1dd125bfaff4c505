import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromBytes, fromText, toBytes } from '../../model/byte-string.ts';
import { bytesOfParsed, isUtf8, jsonString, lossyJsonString, quoteName, unquoteName } from './go-text.ts';

const anyBytes = fc.uint8Array({ maxLength: 40 }).map(fromBytes);
/** Bytes that are hard to tell apart: quotes, escapes, and the parts of UTF-8. */
const nastyBytes = fc
  .array(
    fc.constantFrom(
      '"',
      '\\',
      "'",
      'x',
      'u',
      '0',
      '7',
      '\n',
      '\x00',
      '\x7f',
      '\x80',
      '\xbf',
      '\xc3',
      '\xe2',
      '\xf0',
      '\xff',
      'é',
      '\ufffd',
      '\u2028',
      '😀',
      '\u00ad',
    ),
    { maxLength: 12 },
  )
  .map((parts) =>
    parts.map((part) => (part.charCodeAt(0) > 0xff || part === 'é' ? fromText(part) : part)).join(''),
  );

test('quoting and unquoting a name preserves any bytes', () => {
  for (const names of [anyBytes, nastyBytes]) {
    fc.assert(
      fc.property(names, (name) => {
        expect(unquoteName(quoteName(name))).toBe(name);
      }),
      { numRuns: 1000 },
    );
  }
});

test('a quoted name is valid UTF-8 in one line, with its quotes escaped', () => {
  for (const names of [anyBytes, nastyBytes]) {
    fc.assert(
      fc.property(names, (name) => {
        const quoted = quoteName(name);
        expect(isUtf8(quoted)).toBe(true);
        // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
        expect(quoted).not.toMatch(/[\x00-\x1f\x7f]|(?<!\\)(?:\\\\)*"/);
      }),
      { numRuns: 1000 },
    );
  }
});

/** From Go's documentation and tests of strconv.Quote. */
test.each([
  ['plain name.txt', 'plain name.txt'],
  ["it's", "it's"],
  ['\x07\b\f\r\n\t\v', String.raw`\a\b\f\r\n\t\v`],
  ['\\', String.raw`\\`],
  ['say "hi"', String.raw`say \"hi\"`],
  ['abc\xffdef', String.raw`abc\xffdef`],
  ['\x00\x01\x1f\x7f', String.raw`\x00\x01\x1f\x7f`],
  [fromText('☺'), fromText('☺')],
  [fromText('Größe'), fromText('Größe')],
  [fromText('\u{10ffff}'), String.raw`\U0010ffff`],
  [fromText('\u0085'), String.raw`\u0085`],
  [fromText('\u00a0'), String.raw`\u00a0`],
  [fromText('\u00ad'), String.raw`\u00ad`],
  [fromText('\u2028'), String.raw`\u2028`],
  [fromText('\u202e'), String.raw`\u202e`],
  [fromText('\ufeff'), String.raw`\ufeff`],
  [fromText('\ufffd'), fromText('\ufffd')],
  [fromText('\u{1f600}'), fromText('\u{1f600}')],
  ['\xed\xa0\x80', String.raw`\xed\xa0\x80`],
  ['\xc0\x80', String.raw`\xc0\x80`],
  ['\xe2\x82', String.raw`\xe2\x82`],
  ['\xe2\x82a', String.raw`\xe2\x82a`],
  ['\xf4\x90\x80\x80', String.raw`\xf4\x90\x80\x80`],
  ['\xf8', String.raw`\xf8`],
  ['\xc3\xa9\xc3', `\xc3\xa9${String.raw`\xc3`}`],
])('quoteName() writes %j as Go does', (name, quoted) => {
  expect(quoteName(name)).toBe(quoted);
  expect(unquoteName(quoted)).toBe(name);
});

test.each([
  [String.raw`\101\x41\u0041\U00000041`, 'AAAA'],
  [String.raw`\'`, "'"],
  [String.raw`\ud800`, '\xef\xbf\xbd'],
  [String.raw`\U00110000`, '\xef\xbf\xbd'],
])('unquoteName() reads %s too', (quoted, name) => {
  expect(unquoteName(quoted)).toBe(name);
});

test.each([['\\'], [String.raw`a\q`], [String.raw`\x4`], [String.raw`\u123`], [String.raw`\08`], ['\\é']])(
  'unquoteName() refuses %s',
  (quoted) => {
    expect(unquoteName(quoted)).toBeUndefined();
  },
);

describe('JSON strings', () => {
  const anyText = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }));

  test('come back from JSON.parse() as the same bytes', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const bytes = fromText(text.toWellFormed());
        expect(bytesOfParsed(JSON.parse(jsonString(bytes)) as string)).toBe(bytes);
        expect(JSON.parse(toBytes(jsonString(bytes)).toString('utf8'))).toBe(text.toWellFormed());
      }),
      { numRuns: 1000 },
    );
  });

  test('carry bytes that are no UTF-8 too', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        expect(bytesOfParsed(JSON.parse(jsonString(bytes)) as string)).toBe(bytes);
      }),
    );
  });

  test.each([
    ['<a & b>', String.raw`"\u003ca \u0026 b\u003e"`],
    ['"\\/', String.raw`"\"\\/"`],
    ['\b\f\n\r\t\x00\x1f\x7f', String.raw`"\b\f\n\r\t\u0000\u001f` + '\x7f"'],
    [fromText('\u2028\u2029é'), String.raw`"\u2028\u2029` + fromText('é"')],
  ])('escape %j as Go does', (bytes, json) => {
    expect(jsonString(bytes)).toBe(json);
  });
});

test('bytes that are no UTF-8 are lost one by one, and nothing else is', () => {
  expect(lossyJsonString('a\xe2\x82<\xff\xc3\xa9')).toBe(
    String.raw`"a\ufffd\ufffd\u003c\ufffd` + '\xc3\xa9"',
  );
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      const text = JSON.parse(toBytes(lossyJsonString(bytes)).toString('utf8')) as string;
      if (isUtf8(bytes)) expect(fromText(text)).toBe(bytes);
      else expect(text).toContain('\ufffd');
    }),
  );
});

test('isUtf8() distinguishes valid from broken UTF-8', () => {
  for (const valid of ['', 'a\x00\x7f', fromText('é'), fromText('😀')]) expect(isUtf8(valid)).toBe(true);
  for (const broken of ['\x80', '\xc3', '\xc0\x80', '\xed\xa0\x80', '\xff'])
    expect(isUtf8(broken)).toBe(false);
});
