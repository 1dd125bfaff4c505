import { expect, test } from 'vitest';
import { formatTmpfsMount } from '../../test/support/format-mount.ts';
import { parseTmpfsMount } from './mount-tmpfs.ts';

const tmpfs = { type: 'tmpfs', target: '/x', readOnly: false, options: [] } as const;

test.each([
  ['/x', tmpfs],
  ['/x:', tmpfs],
  ['/x:size=100m,noexec', { ...tmpfs, sizeBytes: 100 * 2 ** 20, options: ['noexec'] }],
  [
    '/x:size=1G,mode=01770,uid=5,ro,exec',
    { ...tmpfs, readOnly: true, sizeBytes: 2 ** 30, mode: 0o1770, options: ['uid=5', 'exec'] },
  ],
  ['/x:ro,rw', tmpfs],
  ['/x:size=1m,size=50%', { ...tmpfs, options: ['size=50%'] }],
  ['/x:size=50%,size=4096', { ...tmpfs, sizeBytes: 4096 }],
  ['/x:size=0x1000', { ...tmpfs, options: ['size=0x1000'] }],
])('parseTmpfsMount() reads %s', (text, mount) => {
  expect(parseTmpfsMount(text)).toEqual(mount);
});

test.each([
  ['', 'invalid mount config for type "tmpfs": field Target must not be empty'],
  ['x', `invalid mount config for type "tmpfs": invalid mount path: 'x' mount path must be absolute`],
  ['/', `invalid mount config for type "tmpfs": invalid specification: destination can't be '/'`],
  ['/x:foo', 'invalid tmpfs option "foo"'],
  ['/x:ro=1', 'invalid tmpfs option "ro"'],
  ['/x:,,', 'invalid tmpfs option ""'],
  ['/x: ro', 'invalid tmpfs option " ro"'],
  ['/x:size=foo', 'invalid value for size: foo'],
  ['/x:size=1.5m', 'invalid value for size: 1.5m'],
  ['/x:size=1m:ro', 'invalid value for size: 1m:ro'],
  ['/x:mode=999', 'invalid value for mode: 999'],
])('parseTmpfsMount() refuses %j, as the engine does', (text, message) => {
  expect(() => parseTmpfsMount(text)).toThrow(expect.objectContaining({ code: 'usage', message }));
});

test('formatTmpfsMount() refuses a path with a colon', () => {
  expect(() => formatTmpfsMount({ ...tmpfs, target: '/a:b' })).toThrow(
    expect.objectContaining({ code: 'unsupported' }),
  );
});
