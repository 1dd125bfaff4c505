import { expect, test } from 'vitest';
import { memoryContainers } from '../../../test/fixtures/containers.ts';
import { parseDenials, planDenials } from './denials.ts';
import { placeInOptions } from './missing-device.ts';
import type { PatientMount } from './patients.ts';
import { serverOfOptions } from './remote-servers.ts';

const log = `[ 12.3] audit: type=1400 audit(1764400000.123:45): apparmor="DENIED" operation="open" profile="docker-default" name="/srv/data/key" pid=9 comm="cat" requested_mask="r" denied_mask="r" fsuid=0 ouid=0
type=AVC msg=audit(1764400001.5:46): avc:  denied  { read } for  pid=12 comm="nginx" name="index.html" dev="dm-0" ino=77 scontext=system_u:system_r:container_t:s0:c1,c2 tcontext=unconfined_u:object_r:user_home_t:s0 tclass=file permissive=0
type=AVC msg=audit(1764400001.5:47): avc:  denied  { read } for  pid=12 comm="sshd" name="x" scontext=system_u:system_r:sshd_t:s0 tclass=file
[ 13.0] eth0: link up
`;

function mountOf(name: string, command: readonly string[], hostPath: string): PatientMount {
  const mount = { type: 'bind', source: hostPath, destination: '/data', readOnly: false } as const;
  const container = memoryContainers().add({ name, command, entrypoint: [], mounts: [mount] });
  return { container, mount, hostPath, volume: undefined, others: [], affected: [], below: '' };
}

test('denials are read from the logs of both, and those of other programs are left out', () => {
  expect(parseDenials(log)).toMatchObject([
    { by: 'AppArmor', at: 1_764_400_000.123, program: 'cat', name: '/srv/data/key', rule: 'docker-default' },
    { by: 'SELinux', program: 'nginx', name: 'index.html', inode: '77', what: 'read' },
  ]);
  expect(parseDenials('')).toEqual([]);
});

test('a denial is told of at the mount that it concerns, and at no other', () => {
  const mounts = [
    mountOf('reader', ['cat'], '/srv/data'),
    mountOf('web', ['/usr/sbin/nginx', '-g'], '/srv/site'),
    mountOf('well', ['sleep'], '/srv/other'),
  ];
  expect(planDenials(mounts, parseDenials(log))).toMatchObject([
    { id: 'HF-D041', subject: { name: 'reader' } },
    {
      id: 'HF-D040',
      subject: { name: 'web' },
      commands: [['chcon', '-R', '-t', 'container_file_t', '/srv/site']],
    },
  ]);
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
