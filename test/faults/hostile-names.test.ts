import { readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { treeFacts } from '../support/tree-facts.ts';
import { FaultWorld } from './fault-world.ts';
import { type HostileMember, hostileTar } from './hostile-tar.ts';

/** The size and the start of the hash of the file that no command may reveal. */
const secretFacts = ' 6 2bb80d537b1da3e3';

let world: FaultWorld;
let outside: string;
let root: string;

beforeAll(async () => {
  world = new FaultWorld();
  await world.init();
  outside = world.mkdir('outside');
  writeFileSync(join(outside, 'secret'), 'secret');
  root = await world.volume('data');
  writeFileSync(join(root, 'file'), 'content');
  symlinkSync(outside, join(root, 'out'));
  symlinkSync('/etc/passwd', join(root, 'passwd'));
  await world.run('backup', 'data');
});
afterAll(() => world[Symbol.dispose]());

describe('names that are none', () => {
  const names = [
    '../x',
    '../../etc',
    '/',
    'a/b',
    '-rf',
    '--',
    'two\nlines',
    'a b',
    '',
    '.',
    '..',
    'é',
    'a\u001b[31m',
    'x'.repeat(300),
  ];

  test.each(names)('%j makes no volume, and nothing else anywhere', async (name) => {
    const before = stateFacts();
    for (const args of [
      ['volume', 'create', '--', name],
      ['volume', 'clone', 'data', '--', name],
      ['volume', 'import', '--input', '/dev/null', '--', name],
    ]) {
      const { exit, stderr } = await world.attempt(args);
      expect([1, 2, 4], `${args.join(' ')}: ${stderr}`).toContain(exit);
      expect(stderr, args.join(' ')).toMatch(/^holdfast: /);
      expect(stderr).not.toContain('\u001b');
    }
    const after = stateFacts();
    expect(after).toEqual(before);
  });

  test.each(['../x', '-rf', 'two\nlines', '/etc', '..', 'data/..', '../volumes/data'])(
    '%j removes no volume and reads none',
    async (name) => {
      const before = stateFacts();
      for (const args of [
        ['volume', 'rm', '--', name],
        ['volume', 'rm', '--force', '--', name],
        ['volume', 'inspect', '--', name],
        ['volume', 'du', '--', name],
        ['volume', 'cat', '--', name, 'file'],
        ['volume', 'export', '--', name],
      ]) {
        const { exit, stdout } = await world.attempt(args);
        // With --force a missing volume is no error, as in Docker.
        if (!args.includes('--force')) expect(exit, args.join(' ')).not.toBe(0);
        expect(stdout).not.toContain('secret');
      }
      const after = stateFacts();
      expect(after).toEqual(before);
    },
  );
});

/** The log may record the attempt. */
function stateFacts(): string[] {
  return treeFacts(world.stateDir, { without: ['mtime'] }).filter(
    (line) => !line.includes('catalog.db') && !line.startsWith('"log/'),
  );
}

describe('paths that leave the volume', () => {
  const paths = [
    '../../../outside/secret',
    '/../../../outside/secret',
    'out/secret',
    'out/../out/secret',
    'passwd',
    'a\0b',
  ];

  test.each(paths)('%j is not read', async (path) => {
    const commands = [
      ['volume', 'cat', 'data', path],
      ['volume', 'browse', 'data', path],
      ['volume', 'cp', `data:${path}`, './got'],
      ['dump', 'data', path],
      ['ls', 'data', path],
      ['restore', 'data', '--path', path, '--to', './got-back'],
    ].filter((args) => args.every((arg) => !arg.includes('\0')));
    for (const args of commands) {
      const { stdout, stderr } = await world.attempt(args);
      expect(stdout, args.join(' ')).not.toMatch(/secret$|root:/m);
      expect(stderr, args.join(' ')).not.toMatch(/root:x/);
    }
    for (const name of readdirSync(world.folder).filter((found) => found.startsWith('got'))) {
      expect(treeFacts(join(world.folder, name)).join('\n'), name).not.toContain(secretFacts);
      rmSync(join(world.folder, name), { recursive: true });
    }
  });

  test.each(['out/planted', '../planted', '/../../planted', 'out/../../planted'])(
    '%j is not written to',
    async (path) => {
      const mine = join(world.folder, 'mine');
      writeFileSync(mine, 'mine');
      const { exit, stderr } = await world.attempt(['volume', 'cp', './mine', `data:${path}`]);
      expect(exit, stderr).not.toBe(0);
      expect(readdirSync(outside)).toEqual(['secret']);
      expect(readdirSync(join(world.stateDir, 'volumes'))).toEqual(['data']);
      expect(readdirSync(join(root, '..'))).toEqual(['_data']);
    },
  );
});

describe('archives that leave the volume', () => {
  const file = (name: string): HostileMember => ({ name, type: '0', content: 'evil' });
  const archives: Record<string, HostileMember[]> = {
    'goes up': [file('../evil')],
    'goes up in the middle': [file('a/../../../evil')],
    'has an absolute name': [file('/tmp/holdfast-evil')],
    'writes through a link of its own': [{ name: 'door', type: '2', link: 'OUTSIDE' }, file('door/evil')],
    'writes through a relative link': [{ name: 'up', type: '2', link: '../../../..' }, file('up/evil')],
    'replaces a folder by a link': [
      { name: 'dir', type: '5' },
      { name: 'dir', type: '2', link: 'OUTSIDE' },
      file('dir/evil'),
    ],
    'links hard to what is outside': [{ name: 'hard', type: '1', link: 'OUTSIDE/secret' }, file('after')],
    'links hard up': [{ name: 'hard', type: '1', link: '../../../../outside/secret' }],
    'links hard through a link': [
      { name: 'door', type: '2', link: 'OUTSIDE' },
      { name: 'hard', type: '1', link: 'door/secret' },
      { name: 'hard', type: '0', content: 'evil' },
    ],
    'writes over a hard link': [
      { name: 'door', type: '2', link: 'OUTSIDE/secret' },
      { name: 'door', type: '0', content: 'evil' },
    ],
  };

  test('are read at all: one of an honest file is unpacked', async () => {
    writeFileSync(join(world.folder, 'evil.tar'), hostileTar([file('folder/honest')]));
    await world.run('volume', 'import', 'honest', '--input', 'evil.tar');
    expect(await world.run('volume', 'cat', 'honest', 'folder/honest')).toBe('evil');
    await world.run('volume', 'rm', 'honest');
  });

  test.each(Object.entries(archives))('one that %s puts nothing outside', async (_, members) => {
    const fixed = members.map((member) => ({
      ...member,
      link: member.link?.replace('OUTSIDE', outside) ?? '',
    }));
    writeFileSync(join(world.folder, 'evil.tar'), hostileTar(fixed));
    for (const args of [
      ['volume', 'import', 'fresh', '--input', 'evil.tar'],
      ['volume', 'import', 'data', '--merge', '--input', 'evil.tar'],
    ]) {
      await world.attempt(args);
      if (args[2] === 'fresh') await world.attempt(['volume', 'rm', 'fresh']);
      expect(treeFacts(outside, { without: ['mtime'] }).map((line) => line.split(' ')[0])).toEqual([
        '""',
        '"secret"',
      ]);
      expect(treeFacts(outside).join('\n'), args.join(' ')).toContain(secretFacts);
      expect(treeFacts(outside).join('\n'), args.join(' ')).not.toContain('same as');
      expect(readdirSync(world.folder).sort()).toEqual([
        'evil.tar',
        'mine',
        'outside',
        'repository',
        'state',
      ]);
      for (const name of readdirSync(join(world.stateDir, 'volumes')))
        expect(readdirSync(join(world.stateDir, 'volumes', name))).toEqual(['_data']);
      expect(readdirSync('/tmp')).not.toContain('holdfast-evil');
    }
  });
});
