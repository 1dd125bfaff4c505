import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { onEngine } from '../../../support/on-engine.ts';
import { doctorOn } from '../doctor-on.ts';
import { type NfsServer, startNfsServer } from '../nfs-server.ts';
import { plainLogin, type SambaServer, startSambaServer } from '../samba-server.ts';

const security = '/sys/kernel/security';
/** Before the engine starts, which looks there for AppArmor. */
beforeAll(() => void execFileSync('mount', ['-t', 'securityfs', 'securityfs', security]));
afterAll(() => void execFileSync('umount', [security]));
const on = onEngine({ host: 'docker', engine: { usesMachineNetwork: true } });
const patience = { timeout: 120_000 };

let nfs: NfsServer;
let samba: SambaServer;
beforeAll(async () => {
  [nfs, samba] = await Promise.all([startNfsServer(), startSambaServer()]);
});
afterAll(async () => {
  await samba[Symbol.asyncDispose]();
  await nfs[Symbol.asyncDispose]();
});

const { findings, idsOf, volume, start, inside, remove, carryOut } = doctorOn(on);

test('an NFS server that is away is told of with the container, beside df, top and a backup that come to an end, and all is well when it is back', async () => {
  const { path } = await nfs.newExport();
  await volume('away', { type: 'nfs', o: 'addr=127.0.0.1,nfsvers=4.2', device: `:${path}` });
  await start('away', '-v', 'away:/data');
  await inside('away', 'echo content > /data/file; sync');
  expect(await findings('away')).toEqual([]);
  await on.run(['df', '--refresh', 'away']);
  nfs.stop();
  try {
    const known = { volumes: [{ name: 'away', bytes: 8, files: 1 }] };
    for (const asked of [['away'], [], ['--refresh']])
      expect(JSON.parse((await on.run(['df', ...asked, '--format', 'json'])).stdout)).toMatchObject(known);
    const refreshed = await on.attempt(['df', '--refresh', 'away', '--format', 'json']);
    const failed = { name: 'away', code: 'unavailable' };
    expect(JSON.parse(refreshed.stdout)).toMatchObject({ ...known, failures: [failed] });
    const saved = await on.attempt(['backup', 'away']);
    expect(saved.stderr).toContain('did not answer within 25 seconds');
    expect(saved.exit).toBe(1);
    expect(await on.run(['top', '--once', '-q'])).toMatchObject({ stdout: 'away\n' });
    const found = await findings('away');
    expect(found.map(({ id }) => id)).toEqual(expect.arrayContaining(['HF-D010', 'HF-D051']));
    const hanging = found.find(({ id }) => id === 'HF-D010');
    expect(hanging?.subject).toEqual({ kind: 'mount', name: on.engine.volumePath('away') });
    expect(hanging?.evidence.join()).toContain(`from ":${path}"`);
  } finally {
    nfs.start();
  }
  await expect.poll(() => idsOf('away'), patience).toEqual([]);
  expect(await inside('away', 'cat /data/file')).toBe('content');
  await remove('away');
});

test.each(['3', '4.2'])(
  'a mount that its NFS server (version %s) has forgotten is told of, and is read after the commands',
  async (version) => {
    const { path, folder } = await nfs.newExport();
    const name = `stale-${version}`;
    await volume(name, { type: 'nfs', o: `addr=127.0.0.1,nfsvers=${version}`, device: `:${path}` });
    await start(name, '-v', `${name}:/data`);
    await inside(name, 'echo old > /data/file; sync');
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    writeFileSync(join(folder, 'file'), 'new');
    // The server keeps its open files for a moment.
    await expect.poll(() => idsOf(name), patience).toContain('HF-D011');
    const [found] = await findings(name);
    expect(found?.message).toContain('Stale file handle');
    await expect(inside(name, 'cat /data/file')).rejects.toThrow();
    for (const command of found?.commands ?? []) await carryOut(command);
    expect(await inside(name, 'cat /data/file')).toBe('new');
    expect(await findings(name)).toEqual([]);
    await remove(name);
  },
);

test('a CIFS server that is away is told of, and all is well when it is back', async () => {
  const o = `addr=127.0.0.1,username=${plainLogin.username},password=${plainLogin.password}`;
  await volume('share', { type: 'cifs', o, device: await samba.newShare() });
  await start('share', '-v', 'share:/data');
  await inside('share', 'echo content > /data/file; sync');
  expect(await findings('share')).toEqual([]);
  await samba.stop();
  try {
    const found = await findings('share');
    expect(found.find(({ id }) => id === 'HF-D051')?.message).toContain('Port 445 of the CIFS server');
    expect(JSON.stringify(found)).not.toContain(plainLogin.password);
  } finally {
    await samba.start();
  }
  await expect.poll(() => idsOf('share'), patience).toEqual([]);
  expect(await inside('share', 'cat /data/file')).toBe('content');
  await remove('share');
});

describe('a mount that says who owns all its files', () => {
  let stick: string;
  beforeAll(() => {
    const image = join(on.engine.folder, 'stick');
    writeFileSync(image, '');
    truncateSync(image, 32 << 20);
    execFileSync('busybox', ['mkdosfs', image]);
    stick = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim();
  });
  afterAll(() => void execFileSync('losetup', ['--detach', stick]));
  afterEach(() => remove('owned'));
  const ofStick = async () => ({ type: 'vfat', device: stick });
  const ofShare = async () => ({ type: 'cifs', device: await samba.newShare() });
  const { username, password } = plainLogin;
  const login = { addr: '127.0.0.1', username, password };

  test.each([
    ['FAT, to another', ofStick, {}, 'uid=1000,gid=1001'],
    ['FAT, without a mode to write', ofStick, { uid: '1000', umask: '222' }, 'umask=022'],
    ['CIFS, to another', ofShare, login, 'uid=1000,gid=1001'],
  ] as const)(
    '%s, refuses the application until it has the options that the doctor names',
    async (_which, at, given, named) => {
      const place = await at();
      const mountWith = async (options: Readonly<Record<string, string>>): Promise<void> => {
        const o = Object.entries(options)
          .map((pair) => pair.join('='))
          .join(',');
        await volume('owned', { ...place, ...(o === '' ? {} : { o }) });
        await start('owned', '--user', '1000:1001', '-v', 'owned:/data');
      };
      const write = async (): Promise<string> =>
        await inside('owned', 'echo content > /data/file && cat /data/file');
      await mountWith(given);
      await expect(write()).rejects.toThrow('Permission denied');
      const [found, ...others] = await findings('owned');
      expect(others).toEqual([]);
      expect(found).toMatchObject({ id: 'HF-D001', fixable: false, commands: [] });
      const [, options = ''] = /mount it with "([^"]+)"/.exec(found?.remedy ?? '') ?? [];
      expect(options).toBe(named);
      await remove('owned');
      await mountWith({ ...given, ...Object.fromEntries(options.split(',').map((each) => each.split('='))) });
      expect(await write()).toBe('content');
      expect(await findings('owned')).toEqual([]);
    },
  );
});

test.each([
  ['NFS', async () => ({ type: 'nfs', o: 'addr=nas.guest', device: `:${(await nfs.newExport()).path}` })],
  [
    'CIFS',
    async () => ({
      type: 'cifs',
      o: `addr=nas.guest,username=${plainLogin.username},password=${plainLogin.password}`,
      device: await samba.newShare(),
    }),
  ],
] as const)(
  'a %s server whose name leads nowhere is told of, and the volume is written to when the name is known',
  async (protocol, options) => {
    const hosts = readFileSync('/etc/hosts', 'utf8');
    await volume('named', await options());
    await expect(start('named', '-v', 'named:/data')).rejects.toThrow();
    const [found, ...others] = await findings('named');
    expect(others).toEqual([]);
    expect(found).toMatchObject({ id: 'HF-D050', subject: { kind: 'host', name: 'nas.guest' } });
    expect(found?.message).toContain(`The ${protocol} server "nas.guest" cannot be found`);
    appendFileSync('/etc/hosts', '127.0.0.1 nas.guest\n');
    try {
      // The engine reads /etc/hosts again after five seconds only.
      const started = (): Promise<boolean> =>
        on.engine.docker(['start', 'named']).then(
          () => true,
          () => false,
        );
      await expect.poll(started).toBe(true);
      await inside('named', 'echo content > /data/file && cat /data/file');
      expect(await findings('named')).toEqual([]);
    } finally {
      await remove('named');
      writeFileSync('/etc/hosts', hosts);
    }
  },
);

test.each(['silent', 'an alias alone'])(
  'a name server that answers nothing, or an alias whose own name is not answered, is told of in time (%s)',
  async (kind) => {
    const resolv = readFileSync('/etc/resolv.conf', 'utf8');
    const server = createSocket('udp4');
    server.on('message', (question, { port, address }) => {
      const answer = kind === 'silent' ? undefined : aliasFor(question);
      if (answer !== undefined) server.send(answer, port, address);
    });
    server.bind(53, '127.0.0.1');
    await once(server, 'listening');
    writeFileSync('/etc/resolv.conf', 'nameserver 127.0.0.1\noptions timeout:30 attempts:5\n');
    await volume('unanswered', { type: 'nfs', o: 'addr=nas.example', device: ':/srv' });
    try {
      const begun = Date.now();
      const [found, ...others] = await findings('unanswered');
      // The resolver itself would have waited for minutes.
      expect(Date.now() - begun).toBeLessThan(100_000);
      expect(others).toEqual([]);
      expect(found).toMatchObject({ id: 'HF-D050', subject: { name: 'nas.example' } });
    } finally {
      writeFileSync('/etc/resolv.conf', resolv);
      server.close();
      await on.engine.docker(['volume', 'rm', 'unanswered']);
    }
  },
);

/** An answer that names "away.example" and no address; that name itself is not answered. */
function aliasFor(question: Buffer): Buffer | undefined {
  if (question.includes('away')) return undefined;
  const header = Buffer.from(question.subarray(0, 12));
  // An answer with one record, and no additional ones.
  header.writeUInt16BE(0x8180, 2);
  header.writeUInt16BE(1, 6);
  header.writeUInt32BE(0, 8);
  const asked = question.subarray(12, question.indexOf(0, 12) + 5);
  const name = Buffer.from('\x04away\x07example\0', 'latin1');
  const record = Buffer.from([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, name.length]);
  return Buffer.concat([header, asked, record, name]);
}

test('a file system of /etc/fstab that is not mounted is told of, and no folder is made in its place', async () => {
  const table = existsSync('/etc/fstab') ? readFileSync('/etc/fstab', 'utf8') : '';
  const [image, place] = [join(on.engine.folder, 'image'), join(on.engine.folder, 'a disk')];
  mkdirSync(place);
  writeFileSync(image, '');
  truncateSync(image, 32 << 20);
  execFileSync('mkfs.ext4', ['-q', image]);
  appendFileSync('/etc/fstab', `${image} ${place.replace(' ', '\\040')} ext4 loop,noauto 0 0\n`);
  try {
    execFileSync('mount', [place]);
    mkdirSync(join(place, 'app'));
    await volume('on-table', { type: 'none', o: 'bind', device: join(place, 'app') });
    await start('on-table', '-v', 'on-table:/data');
    await inside('on-table', 'echo rows > /data/file');
    await on.engine.docker(['stop', '-t', '0', 'on-table']);
    execFileSync('umount', [place]);
    await expect(on.engine.docker(['start', 'on-table'])).rejects.toThrow();
    const [found, ...others] = await findings('on-table');
    expect(others).toEqual([]);
    expect(found).toMatchObject({ id: 'HF-D016', fixable: false, commands: [['mount', place]] });
    for (const command of found?.commands ?? []) await carryOut(command);
    await on.engine.docker(['start', 'on-table']);
    expect(await inside('on-table', 'cat /data/file')).toBe('rows');
    expect(await findings('on-table')).toEqual([]);
    await remove('on-table');
  } finally {
    execFileSync('umount', [place]);
    writeFileSync('/etc/fstab', table);
  }
});

test('what AppArmor refuses is told of with the rule to add, and is read when that is loaded', async () => {
  const file = '/etc/apparmor.d/guest-reader';
  const rules = [
    '/ r,',
    '/{bin,etc,proc,sys,lib}/{,**} mrix,',
    '/{dev,tmp}/{,**} rw,',
    'capability,',
    'signal,',
  ];
  const profile = (more: readonly string[]): string =>
    `profile guest-reader flags=(attach_disconnected) {\n${[...rules, ...more].join('\n')}\n}\n`;
  writeFileSync(file, profile([]));
  try {
    await carryOut(['apparmor_parser', '-r', file]);
    await start('reader', '--security-opt', 'apparmor=guest-reader', '-v', 'reader:/data');
    writeFileSync(join(on.engine.volumePath('reader'), 'key'), 'content');
    await expect(inside('reader', 'cat /data/key')).rejects.toThrow('Permission denied');
    await expect(inside('reader', 'touch /data/new')).rejects.toThrow('Permission denied');
    const [found, ...others] = await findings('reader');
    expect(others).toEqual([]);
    expect(found).toMatchObject({ id: 'HF-D041', subject: { kind: 'container', name: 'reader' } });
    expect(found?.evidence.join('\n')).toContain('"cat" was refused "r" of "/data/key", by "guest-reader"');
    const [, rule = ''] = /add "([^"]+)"/.exec(found?.remedy ?? '') ?? [];
    writeFileSync(file, profile([rule]));
    for (const command of found?.commands ?? []) await carryOut(command);
    expect(await inside('reader', 'touch /data/new; cat /data/key')).toBe('content');
    expect(await findings('reader')).toEqual([]);
    await remove('reader');
  } finally {
    execFileSync('apparmor_parser', ['-R', file]);
  }
});
