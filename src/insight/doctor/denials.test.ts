import { expect, test } from 'vitest';
import { memoryContainers } from '../../../test/fixtures/containers.ts';
import { parseDenials, planDenials } from './denials.ts';
import { placeInOptions } from './missing-device.ts';
import type { PatientMount } from './patients.ts';
import { serverOfOptions } from './remote-servers.ts';

/** The shapes are those of real kernels: the kernel's log, and the audit daemon's. */
const log = `[ 12.3] audit: type=1400 audit(1764400000.123:45): apparmor="DENIED" operation="open" class="file" profile="docker-default" name="/srv/data/key" pid=9 comm="cat" requested_mask="r" denied_mask="r" fsuid=0 ouid=0
type=AVC msg=audit(1764400001.5:46): avc:  denied  { read } for  pid=12 comm="nginx" name="index.html" dev="dm-0" ino=77 scontext=system_u:system_r:container_t:s0:c1,c2 tcontext=unconfined_u:object_r:user_home_t:s0 tclass=file permissive=0
type=AVC msg=audit(1764400001.5:47): avc:  denied  { read } for  pid=12 comm="sshd" name="x" scontext=system_u:system_r:sshd_t:s0 tclass=file
type=AVC msg=audit(1764400001.6:48): avc:  denied  { write } for  pid=12 comm="nginx" name="cache" dev="dm-0" ino=78 scontext=system_u:system_r:container_t:s0:c1,c2 tcontext=unconfined_u:object_r:user_home_t:s0 tclass=dir permissive=1
[ 12.9] audit: type=1400 audit(1764400002.1:49): apparmor="DENIED" operation="mknod" class="file" profile="my profile" name=2F64617461206F66206D696E65 pid=9 comm="sh" requested_mask="c" denied_mask="c" fsuid=0 ouid=0
[ 13.0] eth0: link up
`;
const unseen = () => ({ process: '', data: () => [] });

function mountOf(name: string, command: readonly string[], hostPath: string): PatientMount {
  const mount = { type: 'bind', source: hostPath, destination: '/data', readOnly: false } as const;
  const container = memoryContainers().add({ name, command, entrypoint: [], mounts: [mount] });
  return { container, mount, hostPath, volume: undefined, others: [], affected: [], below: '' };
}

test('denials are read from the logs of both, and what was only told of, or is of other programs, is left out', () => {
  expect(parseDenials(log)).toMatchObject([
    { by: 'AppArmor', at: 1_764_400_000.123, program: 'cat', name: '/srv/data/key', rule: 'docker-default' },
    {
      by: 'SELinux',
      program: 'nginx',
      name: 'index.html',
      what: 'read',
      target: 'unconfined_u:object_r:user_home_t:s0',
    },
    { by: 'AppArmor', rule: 'my profile', name: '/data of mine', what: 'c' },
  ]);
  expect(parseDenials('')).toEqual([]);
});

test('a denial is told of at the mount that it concerns, and at no other', () => {
  const mounts = [
    mountOf('reader', ['cat'], '/srv/data'),
    mountOf('web', ['/usr/sbin/nginx', '-g'], '/srv/site'),
    mountOf('well', ['sleep'], '/srv/other'),
  ];
  expect(planDenials(mounts, parseDenials(log), unseen)).toMatchObject([
    { id: 'HF-D041', subject: { name: 'reader' } },
    {
      id: 'HF-D040',
      subject: { name: 'web' },
      commands: [['chcon', '-R', '-t', 'container_file_t', '/srv/site']],
    },
  ]);
});

test.each(['/', '/etc', '/var/log', '/home/someone'])(
  'what SELinux refuses in %s is not labelled for containers',
  (hostPath) => {
    const denials = parseDenials(log).filter(({ by }) => by === 'SELinux');
    const [found] = planDenials([mountOf('web', ['nginx'], hostPath)], denials, unseen);
    expect(found).toMatchObject({ id: 'HF-D040', commands: [] });
    expect(found?.remedy).not.toContain(':z');
  },
);

test('labels tell which of two containers it was, and at which of its mounts', () => {
  const [mine, other] = [mountOf('mine', ['sh'], '/srv/site'), mountOf('other', ['nginx'], '/srv/other')];
  const seen = (process: string, label: string) => ({ process, data: () => [label] });
  const home = 'unconfined_u:object_r:user_home_t:s0';
  const labels = new Map([
    [mine, seen('system_u:system_r:container_t:s0:c1,c2', home)],
    [other, seen('system_u:system_r:container_t:s0:c3,c4', home)],
  ]);
  const found = () => planDenials([mine, other], parseDenials(log), (mount) => labels.get(mount) ?? unseen());
  expect(found().map(({ subject }) => subject.name)).toEqual(['mine']);
  // It has got another label since.
  labels.set(mine, seen('system_u:system_r:container_t:s0:c1,c2', 'system_u:object_r:container_file_t:s0'));
  expect(found()).toEqual([]);
});

test('a profile that was loaded again since has refused nothing yet', () => {
  const load = (at: number, info = ''): string =>
    `audit: type=1400 audit(${at}.1:9): apparmor="STATUS" operation="profile_replace" ${info} profile="unconfined" name="docker-default" pid=1 comm="apparmor_parser"`;
  const count = (...line: [number, string?]) => parseDenials(`${load(...line)}\n${log}`).length;
  expect(count(1_764_399_999)).toBe(3);
  expect(count(1_764_400_001)).toBe(2);
  expect(count(1_764_400_001, 'info="same as current profile, skipping"')).toBe(3);
});

test('what AppArmor refuses has the rule that would allow it, for all that the mount holds', () => {
  const line = (name: string, mask: string): string =>
    `audit: type=1400 audit(1764400000.1:1): apparmor="DENIED" operation="open" profile="app" name="${name}" comm="sh" denied_mask="${mask}"`;
  const lines = [line('/data/', 'r'), line('/data/new', 'c'), line('/data/run', 'x'), line('/database', 'w')];
  const [found] = planDenials([mountOf('app', ['sh'], '/srv')], parseDenials(lines.join('\n')), unseen);
  expect(found?.remedy).toContain('add "/data/{,**} ixrw,"');
});

test('the place of a volume is what its options name, where that is of this machine', () => {
  const of = (options: Record<string, string>) => placeInOptions({ driver: 'local', options });
  expect(of({ type: 'none', o: 'bind', device: '/srv/x' })).toEqual({ path: '/srv/x', isFolder: true });
  expect(of({ type: 'ext4', device: '/dev/sdz1' })).toEqual({ path: '/dev/sdz1', isFolder: false });
  expect(of({ type: 'cifs', device: '//nas/share' })).toBeUndefined();
  expect(of({ type: 'tmpfs', device: 'tmpfs' })).toBeUndefined();
});

test('the server of a volume is what its options name', () => {
  const nfs = { type: 'nfs', device: ':/srv', o: 'addr=nas,port=3049' };
  expect(serverOfOptions(nfs)).toEqual({ name: 'nas', port: 3049, protocol: 'NFS' });
  expect(serverOfOptions({ type: 'nfs4', device: '[fe80::1]:/srv' })).toMatchObject({ name: 'fe80::1' });
  expect(serverOfOptions({ type: 'cifs', device: '//nas/share' })).toMatchObject({ name: 'nas', port: 445 });
  expect(serverOfOptions({ type: 'nfs', device: 'nas:/srv', o: 'proto=udp' })).toBeUndefined();
  expect(serverOfOptions({ type: 'ext4', device: '/dev/sdb' })).toBeUndefined();
});
