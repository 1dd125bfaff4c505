import { expect, test } from 'vitest';
import {
  parseBlkio,
  parseDiskstats,
  parseGroups,
  parseIoStat,
  parseMountstats,
  parsePressure,
  parseProcessIo,
} from './parse.ts';

test('io.stat of version 2, with a device that has done nothing', () => {
  const text =
    '8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0\n7:0 \n253:1 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0 cost.usage=9\n';
  expect([...parseIoStat(text)]).toEqual([
    ['8:16', { readBytes: 1_459_200, writtenBytes: 314_773_504, reads: 192, writes: 353 }],
    ['7:0', { readBytes: 0, writtenBytes: 0, reads: 0, writes: 0 }],
    ['253:1', { readBytes: 4096, writtenBytes: 0, reads: 1, writes: 0 }],
  ]);
});

test('blkio of version 1', () => {
  const bytes = '254:0 Read 8192\n254:0 Write 12288\n254:0 Sync 20480\n254:0 Total 20480\nTotal 20480\n';
  const counts = '254:0 Read 2\n254:0 Write 3\n254:0 Total 5\n8:0 Read 1\nTotal 6\n';
  expect([...parseBlkio(bytes, counts)]).toEqual([
    ['254:0', { readBytes: 8192, writtenBytes: 12_288, reads: 2, writes: 3 }],
    ['8:0', { readBytes: 0, writtenBytes: 0, reads: 1, writes: 0 }],
  ]);
  expect([...parseBlkio('Total 0\n', '')]).toEqual([]);
});

test('pressure', () => {
  const text =
    'some avg10=3.16 avg60=5.81 avg300=5.20 total=2209340661\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=245213577\n';
  expect(parsePressure(text)).toBe(2_209_340_661);
  expect(parsePressure('')).toBeUndefined();
});

test('what a process has read and written, without what never reached storage', () => {
  const text =
    'rchar: 323934931\nwchar: 323929600\nread_bytes: 12\nwrite_bytes: 323932160\ncancelled_write_bytes: 160\n';
  expect(parseProcessIo(text)).toEqual({ readBytes: 12, writtenBytes: 323_932_000 });
  expect(parseProcessIo('rchar: 1\n')).toBeUndefined();
});

test('statistics of disks, also of kernels that count less', () => {
  const text =
    '   7       0 loop0 100 5 2000 300 50 6 4000 700 0 844 1000 8 0 1048 220 192 212\n   8       0 sda 1 0 8 4 1 0 8 6 0 9 10\n   8 1 sda1 1 2\n';
  expect([...parseDiskstats(text)]).toEqual([
    [
      '7:0',
      { reads: 100, readBytes: 1_024_000, writes: 50, writtenBytes: 2_048_000, waitedMs: 1000, busyMs: 844 },
    ],
    ['8:0', { reads: 1, readBytes: 4096, writes: 1, writtenBytes: 4096, waitedMs: 10, busyMs: 9 }],
  ]);
});

test('statistics of NFS mounts, by their paths', () => {
  const text = `device /dev/sda1 mounted on / with fstype ext4
device server:/export mounted on /srv/a\\040b with fstype nfs4 statvers=1.1
	opts:	rw,vers=4.2
	bytes:	1000 2000 0 0 4096 8192 1 2
	RPC iostats version: 1.1  p/v: 100003/4 (nfs)
	per-op statistics
	        NULL: 1 1 0 44 24 0 0 0 0
	        READ: 4 4 0 800 5000 1 20 22 0
	       WRITE: 8 8 0 9000 900 3 40 50 0
	       COMMIT: 1 1 0 100 100 0 5 5 0
`;
  expect([...parseMountstats(text)]).toEqual([
    [
      '/srv/a b',
      { readBytes: 4096, writtenBytes: 8192, reads: 4, writes: 8, waitedMs: 60, busyMs: undefined },
    ],
  ]);
});

test('the control groups of a process, of both versions', () => {
  expect(parseGroups('0::/system.slice/docker-abc.scope\n')).toEqual({
    unified: '/system.slice/docker-abc.scope',
    blkio: undefined,
  });
  expect(parseGroups('9:name=systemd:/\n7:blkio,net_cls:/docker/abc\n0::/\n')).toEqual({
    unified: '/',
    blkio: '/docker/abc',
  });
});

test('odd texts give nothing, and never a number that is none', () => {
  for (const text of [
    '',
    '\n\n',
    'x',
    '8:0',
    '8:0 rbytes=-1 wbytes=x',
    '\0'.repeat(10),
    'device  mounted on',
  ]) {
    for (const io of parseIoStat(text).values()) expect(Object.values(io)).toEqual([0, 0, 0, 0]);
    for (const io of parseBlkio(text, text).values()) expect(Object.values(io)).toEqual([0, 0, 0, 0]);
    expect(parseDiskstats(text).size).toBe(0);
    expect(parseMountstats(text).size).toBe(0);
    expect(parseProcessIo(text)).toBeUndefined();
    expect(parseGroups(text)).toEqual({ unified: undefined, blkio: undefined });
  }
});
