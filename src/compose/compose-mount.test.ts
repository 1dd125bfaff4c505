import { describe, expect, test } from 'vitest';
import { formatComposeShortMount } from '../../test/support/format-mount.ts';
import { formatComposeLongMount, parseComposeMount } from './compose-mount.ts';

const volume = { type: 'volume', readOnly: false, noCopy: false, options: {}, labels: {} } as const;
const bind = { type: 'bind', readOnly: false, createSource: true } as const;
const paths = { directory: '/srv/project', home: '/home/u' };

describe('short syntax', () => {
  test.each([
    ['/data', { ...volume, target: '/data' }],
    ['a', { ...volume, target: 'a' }],
    ['pg:/data', { ...volume, source: 'pg', target: '/data' }],
    ['pg:/x:foo,ro', { ...volume, source: 'pg', target: '/x', readOnly: true }],
    ['pg:/x:ro,rw,z,nocopy,rshared', { ...volume, source: 'pg', target: '/x', noCopy: true }],
    ['./x:/x', { ...bind, source: '/srv/project/x', target: '/x' }],
    ['../x:/x', { ...bind, source: '/srv/x', target: '/x' }],
    ['~/x:/x:Z,rslave', { ...bind, source: '/home/u/x', target: '/x', selinux: 'Z', propagation: 'rslave' }],
    ['~:/x', { ...bind, source: '/home/u', target: '/x' }],
    ['C:\\x:/x', { ...bind, source: 'C:\\x', target: '/x' }],
    ['\\\\.\\pipe\\a:/x', { ...bind, source: '\\\\.\\pipe\\a', target: '/x' }],
    ['${DATA:-/srv}:/x:ro', { ...volume, source: '${DATA:-/srv}', target: '/x', readOnly: true }],
    ['/vv:/x:nocopy,z,Z', { ...bind, source: '/vv', target: '/x', selinux: 'Z' }],
    ['/x:ro', { ...bind, source: '/x', target: 'ro' }],
  ])('%s', (spec, mount) => {
    expect(parseComposeMount(spec, paths)).toEqual(mount);
  });

  test('keeps relative sources as they are when no directory is known', () => {
    expect(parseComposeMount('./x:/x')).toMatchObject({ type: 'bind', source: './x' });
    expect(parseComposeMount('~/x:/x')).toMatchObject({ type: 'bind', source: '~/x' });
  });

  // Docker Compose 2.26's own messages.
  test.each([
    ['', 'invalid empty volume spec'],
    ['pg:/x:ro:z', 'invalid spec: pg:/x:ro:z: too many colons'],
    ['pg::ro', 'invalid spec: pg::ro: empty section between colons'],
    [':/x', 'invalid spec: :/x: empty section between colons'],
    ['pg:/x:', 'invalid spec: pg:/x:: empty section between colons'],
  ])('refuses %j in Compose’s words', (spec, message) => {
    expect(() => parseComposeMount(spec)).toThrow(expect.objectContaining({ code: 'usage', message }));
  });

  test('cannot express a volume that Compose would take for a path or a drive', () => {
    for (const source of ['./x', '/x', 'v', '~']) {
      expect(() => formatComposeShortMount({ ...volume, source, target: '/x' })).toThrow(
        expect.objectContaining({ code: 'unsupported' }),
      );
    }
  });
});

describe('long syntax', () => {
  test.each([
    [
      { type: 'volume', target: '/x' },
      { ...volume, target: '/x' },
    ],
    [
      {
        type: 'volume',
        source: 'pg',
        target: '/x',
        read_only: 'true',
        volume: { nocopy: true, subpath: 'a', labels: ['a=b', 'c'] },
      },
      {
        ...volume,
        source: 'pg',
        target: '/x',
        readOnly: true,
        noCopy: true,
        subpath: 'a',
        labels: { a: 'b', c: '' },
      },
    ],
    [
      {
        type: 'volume',
        target: '/x',
        volume: { labels: { a: 1, b: null, c: true } },
        bind: { selinux: 'z' },
        'x-a': 1,
      },
      { ...volume, target: '/x', labels: { a: '1', b: '', c: 'true' } },
    ],
    [
      { type: 'bind', source: './q', target: '/x' },
      { ...bind, source: '/srv/project/q', target: '/x' },
    ],
    [
      {
        type: 'bind',
        source: '/q',
        target: '/x',
        bind: { propagation: 'rslave', create_host_path: false, selinux: 'z', recursive: 'disabled' },
      },
      {
        ...bind,
        source: '/q',
        target: '/x',
        createSource: false,
        propagation: 'rslave',
        selinux: 'z',
        recursive: 'disabled',
      },
    ],
    [
      { type: 'tmpfs', target: '/x', tmpfs: { size: '10m', mode: 0o700 } },
      { type: 'tmpfs', target: '/x', readOnly: false, options: [], sizeBytes: 10_485_760, mode: 0o700 },
    ],
    [
      { type: 'tmpfs', target: '/x', tmpfs: { size: 4096, mode: '0700' } },
      { type: 'tmpfs', target: '/x', readOnly: false, options: [], sizeBytes: 4096, mode: 0o700 },
    ],
    [
      { type: 'image', source: 'nginx', target: '/x', image: { subpath: 'b' } },
      { type: 'image', source: 'nginx', target: '/x', readOnly: false, subpath: 'b' },
    ],
    [
      { type: 'npipe', source: '\\\\.\\pipe\\a', target: '/x', consistency: 'cached' },
      { type: 'npipe', source: '\\\\.\\pipe\\a', target: '/x', readOnly: false, consistency: 'cached' },
    ],
  ])('%j', (entry, mount) => {
    expect(parseComposeMount(entry, paths)).toEqual(mount);
  });

  test.each([
    [5, 'the mount must be a mapping'],
    [null, 'the mount must be a mapping'],
    [{ target: '/x' }, 'type is required'],
    [{ type: 'volume' }, 'invalid mount config for type "volume": field Target must not be empty'],
    [{ type: 'bind', target: '/x' }, 'invalid mount config for type "bind": field Source must not be empty'],
    [{ type: 'foo', target: '/x' }, 'invalid mount config for type "foo": mount type unknown'],
    [
      { type: 'tmpfs', source: '/a', target: '/x' },
      'invalid mount config for type "tmpfs": field Source must not be specified',
    ],
    [{ type: 'volume', target: '/x', foo: 1 }, 'Additional property foo is not allowed'],
    [{ type: 'volume', target: '/x', volume: { foo: 1 } }, 'Additional property foo is not allowed'],
    [{ type: 'volume', target: 5 }, 'target must be a string'],
    [{ type: 'volume', target: '/x', read_only: 'maybe' }, 'read_only must be a boolean'],
    [{ type: 'tmpfs', target: '/x', tmpfs: { size: -1 } }, 'size must be a whole number of 0 or more'],
    [{ type: 'bind', source: '/a', target: '/x', bind: { selinux: 'y' } }, 'selinux must be "z" or "Z"'],
  ])('refuses %j', (entry, message) => {
    expect(() => parseComposeMount(entry)).toThrow(expect.objectContaining({ code: 'usage', message }));
  });

  test('always says whether a missing source is made, because the default differs between versions of Compose', () => {
    expect(formatComposeLongMount({ ...bind, source: '/a', target: '/x' })).toEqual({
      type: 'bind',
      source: '/a',
      target: '/x',
      bind: { create_host_path: true },
    });
  });

  test('cannot express the driver of a volume', () => {
    expect(() => formatComposeLongMount({ ...volume, source: 'pg', target: '/x', driver: 'nfs' })).toThrow(
      expect.objectContaining({ code: 'unsupported', hint: expect.stringContaining('volumes') }),
    );
  });
});
