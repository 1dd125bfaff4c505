import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromBytes, fromText, toBytes, toPath, toPrintable, toText } from './byte-string.ts';

const anyBytes = fc.uint8Array({ maxLength: 40 });
const anyText = fc.string({ unit: 'binary', maxLength: 40 });

test('bytes of any kind survive a ByteString', () => {
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      expect([...toBytes(fromBytes(bytes))]).toEqual([...bytes]);
    }),
  );
});

test('text survives a ByteString', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      expect(toText(fromText(text))).toBe(text);
    }),
  );
});

test('ASCII is the same in both forms, and a path of it stays a string', () => {
  expect(fromText('data/a b.txt')).toBe('data/a b.txt');
  expect(toPath('data/a b.txt')).toBe('data/a b.txt');
});

test('a path with other bytes becomes a Buffer that holds exactly them', () => {
  expect(toPath('caf\xc3\xa9\xff')).toEqual(Buffer.from([0x63, 0x61, 0x66, 0xc3, 0xa9, 0xff]));
});

test('ByteStrings compare in the order of their bytes', () => {
  const names = ['\u{10000}', '\uffff', 'z', 'é', '\u0800'];
  const byBytes = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const byStrings = names.map(fromText).toSorted((a, b) => (a < b ? -1 : 1));
  expect(byStrings.map(toText)).toEqual(byBytes);
});

test('printable text has nothing in it that acts on a terminal or hides', () => {
  fc.assert(
    fc.property(fc.oneof(anyBytes.map(fromBytes), anyText.map(fromText)), (bytes) => {
      expect(toPrintable(bytes)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\ufffd]/u);
    }),
    { numRuns: 500 },
  );
});

test.each([
  ['an escape sequence', '\x1b[2J', String.raw`\u001b[2J`],
  ['a newline', 'a\nb', String.raw`a\u000ab`],
  ['the one-byte escape of C1', fromText('\u009b2J'), String.raw`\u009b2J`],
  ['a right-to-left override', fromText('a\u202egpj.exe'), String.raw`a\u202egpj.exe`],
  ['an Arabic letter mark', fromText('a\u061cb'), String.raw`a\u061cb`],
  ['a zero width space', fromText('a\u200bb'), String.raw`a\u200bb`],
  ['a byte order mark', fromText('\ufeffa'), String.raw`\ufeffa`],
  ['a tag character', fromText('a\u{e0041}'), String.raw`a\u{e0041}`],
  ['a broken byte beside good text', `${fromText('é')}\xff`, String.raw`é\xff`],
  ['an overlong slash', '\xc0\xaf', String.raw`\xc0\xaf`],
  ['a surrogate in UTF-8', '\xed\xa0\x80', String.raw`\xed\xa0\x80`],
  ['a sequence that breaks off', 'a\xe2\x82', String.raw`a\xe2\x82`],
])('printable text shows %s as an escape', (_what, bytes, shown) => {
  expect(toPrintable(bytes)).toBe(shown);
});

test('printable text leaves ordinary names of any script alone', () => {
  for (const name of ['plain.txt', 'Größe', 'ファイル', 'ملف', '😀 b'])
    expect(toPrintable(fromText(name))).toBe(name);
});
