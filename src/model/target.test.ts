import { posix } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toText } from './byte-string.ts';
import { AppError } from './errors.ts';
import {
  parseCopyTarget,
  parseTarget,
  parseVersionedTarget,
  parsePlaceInVolume,
  parseVolumePath,
} from './target.ts';

const now = new Date(2026, 1, 1, 12, 0, 0);

test.each([
  ['pg', { kind: 'volume', name: 'pg' }],
  ['a/b', { kind: 'volume', name: 'a/b' }],
  ['~x', { kind: 'volume', name: '~x' }],
  ['/srv', { kind: 'path', path: '/srv' }],
  ['./pg', { kind: 'path', path: './pg' }],
  ['../pg', { kind: 'path', path: '../pg' }],
  ['.', { kind: 'path', path: '.' }],
  ['/srv/a@b', { kind: 'path', path: '/srv/a@b' }],
])('parseTarget(%j)', (text, target) => {
  expect(parseTarget(text)).toEqual(target);
});

test.each(['', 'pg@latest', 'p\0g', '/srv\0'])('parseTarget(%j) is refused', (text) => {
  expect(() => parseTarget(text)).toThrow(expect.objectContaining({ code: 'usage' }));
});

test.each([
  ['pg', 'pg', { kind: 'latest' }],
  ['pg@latest', 'pg', { kind: 'latest' }],
  ['pg@4bba301e', 'pg', { kind: 'id', prefix: '4bba301e' }],
  ['pg@4BBA', 'pg', { kind: 'id', prefix: '4bba' }],
  ['pg@1234567d', 'pg', { kind: 'id', prefix: '1234567d' }],
  ['pg@20260131', 'pg', { kind: 'id', prefix: '20260131' }],
  ['pg@3d', 'pg', { kind: 'time', time: new Date(now.getTime() - 3 * 86_400_000), text: '3d' }],
  ['pg@3h', 'pg', { kind: 'time', time: new Date(2026, 1, 1, 9), text: '3h' }],
  ['pg@yesterday', 'pg', { kind: 'time', time: new Date(2026, 0, 31, 23, 59, 59, 999), text: 'yesterday' }],
  [
    'pg@2026-01-31T12:00',
    'pg',
    { kind: 'time', time: new Date(2026, 0, 31, 12, 0, 59, 999), text: '2026-01-31T12:00' },
  ],
  ['a@b@latest', undefined, undefined],
])('parseVersionedTarget(%j)', (text, name, snapshot) => {
  if (name === undefined) expect(() => parseVersionedTarget(text, now)).toThrow(AppError);
  else expect(parseVersionedTarget(text, now)).toEqual({ target: { kind: 'volume', name }, snapshot });
});

test('a directory may have an @ of its own', () => {
  expect(parseVersionedTarget('/srv/me@home', now)).toEqual({
    target: { kind: 'path', path: '/srv/me@home' },
    snapshot: { kind: 'latest' },
  });
  expect(parseVersionedTarget('/srv/me@home/x', now).target).toEqual({
    kind: 'path',
    path: '/srv/me@home/x',
  });
  expect(parseVersionedTarget('/srv/me@home@latest', now).target).toEqual({
    kind: 'path',
    path: '/srv/me@home',
  });
});

test.each(['pg@', 'pg@nonsense', 'pg@2026-02-30', '@latest'])(
  'parseVersionedTarget(%j) is refused',
  (text) => {
    expect(() => parseVersionedTarget(text, now)).toThrow(expect.objectContaining({ code: 'usage' }));
  },
);

test.each([
  ['-', { kind: 'stream' }],
  ['pg:/data/x', { kind: 'volume', name: 'pg', path: 'data/x' }],
  ['pg:data', { kind: 'volume', name: 'pg', path: 'data' }],
  ['pg:', { kind: 'volume', name: 'pg', path: '' }],
  ['pg:/', { kind: 'volume', name: 'pg', path: '' }],
  ['pg:a:b', { kind: 'volume', name: 'pg', path: 'a:b' }],
  ['./a:b', { kind: 'path', path: './a:b' }],
  ['/a:b', { kind: 'path', path: '/a:b' }],
  ['dir/file', { kind: 'path', path: 'dir/file' }],
  ['pg:é', { kind: 'volume', name: 'pg', path: '\xc3\xa9' }],
])('parseCopyTarget(%j)', (text, target) => {
  expect(parseCopyTarget(text)).toEqual(target);
});

test.each(['', ':/x', 'pg:../x', 'pg:a/../../x'])('parseCopyTarget(%j) is refused', (text) => {
  expect(() => parseCopyTarget(text)).toThrow(expect.objectContaining({ code: 'usage' }));
});

test('a place in a volume is written as two arguments, or as one with a colon', () => {
  expect(parsePlaceInVolume('pg', '/base/1')).toEqual({ volume: 'pg', path: 'base/1' });
  expect(parsePlaceInVolume('pg:/base/1', undefined)).toEqual({ volume: 'pg', path: 'base/1' });
  expect(parsePlaceInVolume('pg', undefined)).toEqual({ volume: 'pg', path: '' });
  expect(parsePlaceInVolume('pg', 'a:b')).toEqual({ volume: 'pg', path: 'a:b' });
  expect(() => parsePlaceInVolume('pg:../x', undefined)).toThrow('leaves the volume');
});

describe('parseVolumePath()', () => {
  test.each([
    ['', ''],
    ['/', ''],
    ['.', ''],
    ['a/', 'a'],
    ['//a//b', 'a/b'],
    ['a/./b/../c', 'a/c'],
    ['/a/..', ''],
    ['..a/...', '..a/...'],
  ])('reads %j', (text, path) => {
    expect(parseVolumePath(text)).toBe(path);
  });

  test.each(['..', '../x', '/..', '/../etc/passwd', 'a/../../b', './../a'])('refuses %j', (text) => {
    expect(() => parseVolumePath(text)).toThrow(
      expect.objectContaining({ code: 'usage', message: `Path "${text}" leaves the volume` }),
    );
  });

  test('refuses a NUL byte', () => {
    expect(() => parseVolumePath('a\0b')).toThrow('NUL');
  });

  test('never leaves the volume', () => {
    const paths = fc.array(fc.constantFrom('..', '.', '', 'a', 'b')).map((parts) => parts.join('/'));
    fc.assert(
      fc.property(paths, (text) => {
        try {
          const path = toText(parseVolumePath(text));
          expect(posix.resolve('/volume/root', path)).toMatch(/^\/volume\/root(\/|$)/);
          expect(path).not.toMatch(/(^|\/)\.{0,2}(\/|$)(?!$)/);
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
          expect(posix.resolve('/v/o/l', text.replace(/^\/+/, ''))).not.toMatch(/^\/v\/o\/l(\/|$)/);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

test('a volume at a time of another zone is read, though the name of the zone has a slash', () => {
  expect(parseVersionedTarget('pg@2026-01-31T12:00[Europe/Berlin]', new Date())).toMatchObject({
    target: { kind: 'volume', name: 'pg' },
    snapshot: { kind: 'time', time: new Date('2026-01-31T11:00:59.999Z') },
  });
  expect(parseVersionedTarget('/srv/a@b/c', new Date()).target).toEqual({ kind: 'path', path: '/srv/a@b/c' });
});
