import { describe, expect, test } from 'vitest';
import { formatCsvMount, formatCsvRecord } from '../../test/support/format-mount.ts';
import { parseCsvMount, parseCsvRecord } from './mount-csv.ts';

const volume = { type: 'volume', readOnly: false, noCopy: false, options: {}, labels: {} } as const;
const bind = { type: 'bind', readOnly: false, createSource: false } as const;

test.each([
  ['dst=/x', { ...volume, target: '/x' }],
  ['TYPE=Volume,SRC=pg,Destination=/x,RO', { ...volume, source: 'pg', target: '/x', readOnly: true }],
  ['src=pg,dst=/x,readonly=0,volume-nocopy=1', { ...volume, source: 'pg', target: '/x', noCopy: true }],
  [
    'src=pg,dst=/x,volume-driver=local,"volume-opt=o=addr=1.2.3.4,rw",volume-opt=type=nfs,volume-label=a,volume-label=b=c=d',
    {
      ...volume,
      source: 'pg',
      target: '/x',
      driver: 'local',
      options: { o: 'addr=1.2.3.4,rw', type: 'nfs' },
      labels: { a: '', b: 'c=d' },
    },
  ],
  ['src=pg,dst=/x,volume-subpath=a/b', { ...volume, source: 'pg', target: '/x', subpath: 'a/b' }],
  ['type=bind,src=/srv,dst=/x,bind-recursive=enabled', { ...bind, source: '/srv', target: '/x' }],
  [
    'type=bind,src=/srv,dst=/x,ro,bind-recursive=readonly,bind-propagation=RPRIVATE,bind-create-src',
    {
      ...bind,
      source: '/srv',
      target: '/x',
      readOnly: true,
      recursive: 'readonly',
      propagation: 'rprivate',
      createSource: true,
    },
  ],
  [
    'type=tmpfs,dst=/x,tmpfs-size=1m,tmpfs-mode=1777',
    { type: 'tmpfs', target: '/x', readOnly: false, options: [], sizeBytes: 1_048_576, mode: 0o1777 },
  ],
  [
    'type=image,src=nginx:1,dst=/x,image-subpath=a',
    { type: 'image', source: 'nginx:1', target: '/x', readOnly: false, subpath: 'a' },
  ],
  ['type=cluster,src=c,dst=/x', { type: 'cluster', source: 'c', target: '/x', readOnly: false }],
])('parseCsvMount() reads %s', (text, mount) => {
  expect(parseCsvMount(text)).toEqual(mount);
});

test('parseCsvMount() takes a source that starts with a dot from the directory', () => {
  expect(parseCsvMount('type=bind,src=.,dst=/x', { directory: '/home/u' })).toMatchObject({
    source: '/home/u',
  });
});

test.each([
  ['', 'value is empty'],
  ['bogus', "invalid field 'bogus' must be a key=value pair"],
  ['dst=/x,', "invalid field '' must be a key=value pair"],
  ['type=volume,bogus=foo', "unknown option 'bogus' in 'bogus=foo'"],
  ['dst=', "invalid value for 'dst': value is empty"],
  ['dst= /x', "invalid value for 'dst' in 'dst= /x': value should not have whitespace"],
  [' dst =/x', "invalid option 'dst' in 'dst =/x': option should not have whitespace"],
  [
    'dst=/x,ro=no',
    `invalid value for 'ro': invalid boolean value ("no"): must be one of "true", "1", "false", or "0" (default "true")`,
  ],
  ['type=bind,src=/a,dst=/x,volume-nocopy', "cannot mix 'volume-*' options with mount type 'bind'"],
  ['dst=/x,bind-propagation=rslave', "cannot mix 'bind-*' options with mount type 'volume'"],
  ['dst=/x,tmpfs-size=1m', "cannot mix 'tmpfs-*' options with mount type 'volume'"],
  ['dst=/x,image-subpath=a', "cannot mix 'image-*' options with mount type 'volume'"],
  [
    'type=bind,src=/a,dst=/x,bind-recursive=foo',
    'invalid value for bind-recursive: foo (must be "enabled", "disabled", "writable", or "readonly")',
  ],
  [
    'type=bind,src=/a,dst=/x,bind-recursive=writable',
    "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction",
  ],
  [
    'type=bind,src=/a,dst=/x,ro,bind-recursive=readonly',
    "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
  ],
  [
    'type=bind,src=/a,dst=/x,bind-nonrecursive',
    'bind-nonrecursive is deprecated, use bind-recursive=disabled instead',
  ],
  ['type=tmpfs,dst=/x,tmpfs-size=abc', 'invalid value for tmpfs-size: abc'],
  ['type=tmpfs,dst=/x,tmpfs-mode=9', 'invalid value for tmpfs-mode: 9'],
])('parseCsvMount() refuses %j in the words of Docker’s command', (text, message) => {
  expect(() => parseCsvMount(text)).toThrow(expect.objectContaining({ code: 'usage', message }));
});

// As in Docker Engine 26.1.
test.each([
  ['src=a', 'volume', 'field Target must not be empty'],
  ['type=foo,dst=/x', 'foo', 'mount type unknown'],
  ['type=bind,dst=/x', 'bind', 'field Source must not be empty'],
  ['type=bind,src=rel,dst=/x', 'bind', "invalid mount path: 'rel' mount path must be absolute"],
  ['type=tmpfs,src=/a,dst=/x', 'tmpfs', 'field Source must not be specified'],
  ['src=pg,dst=/', 'volume', "invalid specification: destination can't be '/'"],
  ['src=pg,dst=/a/..', 'volume', "invalid specification: destination can't be '/'"],
  ['src=pg,dst=x', 'volume', "invalid mount path: 'x' mount path must be absolute"],
  ['type=bind,src=rel,dst=/x,bind-propagation=foo', 'bind', 'invalid propagation mode: foo'],
  ['dst=/x,volume-subpath=a', 'volume', 'must not set Subpath when using anonymous volumes'],
  ['src=pg,dst=/x,volume-subpath=../a', 'volume', 'subpath must be a relative path within the volume'],
  ['src=pg,dst=/x,volume-subpath=/a', 'volume', 'subpath must be a relative path within the volume'],
  ['src=pg,dst=/x,volume-subpath=a/../../b', 'volume', 'subpath must be a relative path within the volume'],
])('parseCsvMount() refuses %s in the engine’s words', (text, type, reason) => {
  expect(() => parseCsvMount(text)).toThrow(
    expect.objectContaining({ code: 'usage', message: `invalid mount config for type "${type}": ${reason}` }),
  );
});

test('formatCsvMount() quotes fields with a comma or a quote', () => {
  expect(formatCsvMount({ ...bind, source: '/a,b', target: '/x"y' })).toBe(
    'type=bind,"source=/a,b","target=/x""y"',
  );
});

test.each([
  ['an SELinux label', { ...bind, source: '/a', target: '/x', selinux: 'z' as const }],
  [
    'mount options of a tmpfs',
    { type: 'tmpfs', target: '/x', readOnly: false, options: ['noexec'] } as const,
  ],
  ['a source that ends in a space', { ...bind, source: '/a ', target: '/x' }],
  ['a label with = in its name', { ...volume, target: '/x', labels: { 'a=b': 'c' } }],
])('formatCsvMount() refuses %s, because --mount cannot say it', (_what, mount) => {
  expect(() => formatCsvMount(mount)).toThrow(expect.objectContaining({ code: 'unsupported' }));
});

describe('CSV as Go reads it', () => {
  test.each([
    ['a,b', ['a', 'b']],
    ['"a,b",c', ['a,b', 'c']],
    ['"a""b"', ['a"b']],
    ['a,', ['a', '']],
    ['""', ['']],
    ['"a\r\nb",c', ['a\nb', 'c']],
    ['a,b\nc,d', ['a', 'b']],
    ['\n\na', ['a']],
    ['a\r', ['a']],
  ])('parseCsvRecord(%j)', (text, fields) => {
    expect(parseCsvRecord(text)).toEqual(fields);
  });

  test.each([
    ['type="volume",dst=/x', 'parse error on line 1, column 6: bare " in non-quoted-field'],
    ['type=volume,"dst=/x', 'parse error on line 1, column 20: extraneous or missing " in quoted-field'],
    ['"a"b,dst=/x', 'parse error on line 1, column 3: extraneous or missing " in quoted-field'],
    ['é"', 'parse error on line 1, column 3: bare " in non-quoted-field'],
    ['"a\nb"c', 'record on line 1; parse error on line 2, column 2: extraneous or missing " in quoted-field'],
  ])('parseCsvRecord(%j) fails as Docker’s command does', (text, message) => {
    expect(() => parseCsvRecord(text)).toThrow(expect.objectContaining({ code: 'usage', message }));
  });

  test('formatCsvRecord() is read back', () => {
    const fields = ['a', '', 'b,c', 'd"e', ' f', 'g\nh'];
    expect(parseCsvRecord(formatCsvRecord(fields))).toEqual(fields);
  });
});
