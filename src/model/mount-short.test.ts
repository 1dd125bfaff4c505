import { expect, test } from 'vitest';
import { formatShortMount } from '../../test/support/format-mount.ts';
import { parseShortMount } from './mount-short.ts';

const volume = { type: 'volume', readOnly: false, noCopy: false, options: {}, labels: {} } as const;
const bind = { type: 'bind', readOnly: false, createSource: true } as const;

test.each([
  ['/data', { ...volume, target: '/data' }],
  ['pg:/data', { ...volume, source: 'pg', target: '/data' }],
  ['pg:/data:ro', { ...volume, source: 'pg', target: '/data', readOnly: true }],
  ['pg:/data:rw,nocopy,z', { ...volume, source: 'pg', target: '/data', noCopy: true, selinux: 'z' }],
  ['/srv:/data', { ...bind, source: '/srv', target: '/data' }],
  ['/srv:/data:', { ...bind, source: '/srv', target: '/data' }],
  [
    '/srv:/data:ro,Z,rslave,cached',
    {
      ...bind,
      source: '/srv',
      target: '/data',
      readOnly: true,
      selinux: 'Z',
      propagation: 'rslave',
      consistency: 'cached',
    },
  ],
  ['rel/x:/data', { ...volume, source: 'rel/x', target: '/data' }],
])('parseShortMount() reads %s', (spec, mount) => {
  expect(parseShortMount(spec)).toEqual(mount);
});

test('parseShortMount() takes a source that starts with a dot from the directory', () => {
  expect(parseShortMount('./data:/data', { directory: '/home/u' })).toMatchObject({
    type: 'bind',
    source: '/home/u/data',
  });
  expect(parseShortMount('..:/data', { directory: '/home/u' })).toMatchObject({
    type: 'bind',
    source: '/home',
  });
});

// As in Docker Engine 26.1.
test.each([
  ['', 'invalid empty volume spec'],
  ['/x:ro', "invalid volume specification: '/x:ro'"],
  ['pg:/x:ro:z', "invalid volume specification: 'pg:/x:ro:z'"],
  [':/x', "invalid volume specification: ':/x'"],
  ['pg:/x:foo', 'invalid mode: foo'],
  ['pg:/x:ro,rw', 'invalid mode: ro,rw'],
  ['pg:/x:z,Z', 'invalid mode: z,Z'],
  ['pg:/x:,', 'invalid mode: ,'],
  ['/x:/x:ro,', 'invalid mode: ro,'],
  ['pg:/x:/y', 'invalid mode: /y'],
  [
    'pg:/x:rshared',
    `invalid volume specification: 'pg:/x:rshared': invalid mount config for type "volume": field BindOptions must not be specified`,
  ],
  [
    '/tmp:/x:nocopy',
    `invalid volume specification: '/tmp:/x:nocopy': invalid mount config for type "bind": field VolumeOptions must not be specified`,
  ],
  [
    'pg:/',
    `invalid volume specification: 'pg:/': invalid mount config for type "volume": invalid specification: destination can't be '/'`,
  ],
  [
    'pg:x',
    `invalid volume specification: 'pg:x': invalid mount config for type "volume": invalid mount path: 'x' mount path must be absolute`,
  ],
])('parseShortMount() refuses %j in Docker’s words', (spec, message) => {
  expect(() => parseShortMount(spec)).toThrow(expect.objectContaining({ code: 'usage', message }));
});

test.each([
  ['a driver', { ...volume, source: 'pg', target: '/x', driver: 'nfs' }],
  ['a label', { ...volume, source: 'pg', target: '/x', labels: { a: 'b' } }],
  ['a subpath', { ...volume, source: 'pg', target: '/x', subpath: 'a' }],
  ['a colon in the source', { ...bind, source: '/a:b', target: '/x' }],
  ['an anonymous volume that is read-only', { ...volume, target: '/x', readOnly: true }],
  ['a source that must be there already', { ...bind, createSource: false, source: '/srv', target: '/x' }],
  ['a tmpfs', { type: 'tmpfs', target: '/x', readOnly: false, options: [] } as const],
])('formatShortMount() refuses %s, because -v cannot say it', (_what, mount) => {
  expect(() => formatShortMount(mount)).toThrow(expect.objectContaining({ code: 'unsupported' }));
});
