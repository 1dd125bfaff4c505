import { expect, test } from 'vitest';
import { recordedVolume } from './as-recorded.ts';

const made = (driver: string, options: Record<string, string>, isTrusted = false) =>
  recordedVolume({ name: 'v', driver, options, labels: {} }, { isTrusted });

test.each([
  ['local', {}],
  ['local', { type: 'tmpfs', device: 'tmpfs', o: 'size=1m' }],
  ['holdfast', { size: '1G', uid: '999' }],
  ['luks', { size: '1G', key: 'master' }],
  ['elsewhere/plugin:1', {}],
])('a volume that touches nothing else is made as its snapshot says: %s %j', (driver, options) => {
  expect(made(driver, options).refusal).toBeUndefined();
});

test.each([
  ['local', { type: 'none', o: 'bind', device: '/root/.ssh' }, 'device=/root/.ssh'],
  ['bind', { device: '/etc/cron.d' }, 'device=/etc/cron.d'],
  ['local', { type: 'overlay', device: 'overlay', o: 'lowerdir=/mnt,upperdir=/root' }, 'device=overlay'],
  ['local', { type: 'overlay', o: 'lowerdir=/mnt,upperdir=/root' }, 'o=lowerdir=/mnt,upperdir=/root'],
  ['nfs', { device: ':/export', o: 'addr=evil.example' }, 'device=:/export'],
  ['cifs', { device: '//evil/x', credentials: 'file:/etc/shadow' }, 'credentials=file:/etc/shadow'],
  ['rclone', { remote: ':webdav,url=http://evil:x' }, 'remote=:webdav,url=http://evil:x'],
  ['rclone', { remote: 'a:b', 'secret.webdav-pass': 'file:/root/key' }, 'secret.webdav-pass=file:/root/key'],
  ['rclone', { remote: 'ssh:x', config: '/srv/data/rclone.conf' }, 'config=/srv/data/rclone.conf'],
  ['luks', { key: 'env:HOLDFAST_PASSWORD' }, 'key=env:HOLDFAST_PASSWORD'],
  ['gocryptfs', { key: ' FILE:/etc/passwd' }, 'key= FILE:/etc/passwd'],
  ['sshfs', { sshcmd: 'root@evil:/' }, 'sshcmd=root@evil:/'],
])('one that reaches out needs a word: %s %j', (driver, options, shown) => {
  const { refusal, notes } = made(driver, options);
  expect(refusal).toMatchObject({ code: 'denied', message: expect.stringContaining(shown) });
  expect(refusal?.hint).toContain('--as-recorded');
  expect(notes.join()).toContain(shown);
  expect(made(driver, options, true).refusal).toBeUndefined();
});

test('a command from a snapshot is never run', () => {
  const all: Record<string, string>[] = [
    { key: 'exec:touch /tmp/owned' },
    { 'secret.s3-key': ' Exec:id' },
    { remote: ":sftp,host=h,ssh='touch /tmp/owned':x" },
    { remote: 'mine,bearer_token_command=id:x' },
    { remote: 'mine:x', 'secret.sftp-ssh': 'file:/srv/data/command' },
    { remote: 'mine:x', 'secret.password-command': 'env:HOME' },
  ];
  for (const options of all) {
    for (const isTrusted of [false, true])
      expect(made('rclone', options, isTrusted).refusal).toMatchObject({
        code: 'denied',
        message: expect.stringContaining('would run a command out of the snapshot'),
      });
  }
});

test('labels that are commands are left out and reported', () => {
  const commands = {
    'holdfast.hook.before': 'x',
    'holdfast.hook.before.2.in': 'db',
    'stack-back.hooks.pre.1.cmd': 'x',
    'nautical-backup.lifecycle.after': 'x',
    'docker-volume-backup.exec-pre': 'x',
    'docker-volume-backup.archive-post.user': 'root',
  };
  const plain = { 'holdfast.preset': 'redis', 'com.docker.compose.project': 'shop' };
  const recorded = { name: 'v', driver: 'local', options: {}, labels: { ...commands, ...plain } };
  const { spec, notes } = recordedVolume(recorded, { isTrusted: false });
  expect(spec.labels).toEqual(plain);
  for (const label of Object.keys(commands)) expect(notes.join()).toContain(`"${label}"`);
  expect(recordedVolume(recorded, { isTrusted: true }).spec.labels).toEqual(recorded.labels);
});
