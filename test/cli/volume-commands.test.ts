import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeHostileTree } from '../support/hostile-tree.ts';
import { treeFacts } from '../support/tree-facts.ts';
import { Cli } from './cli.ts';

let cli: Cli;
beforeAll(() => {
  cli = new Cli();
});
afterAll(() => cli[Symbol.dispose]());

describe('holdfast volume', () => {
  test('create prints the name, can be repeated, and says how an existing volume differs', async () => {
    expect(await cli.run('volume', 'create', 'made', '--label', 'a=1', '--label', 'bare')).toBe('made\n');
    expect(await cli.run('volume', 'create', 'made', '--label', 'a=1')).toBe('made\n');
    const differing = await cli.attempt(['volume', 'create', 'made', '--label', 'a=2']);
    expect(differing).toMatchObject({ exit: 1, stdout: '' });
    expect(differing.stderr).toContain('label "a" is "1", not "2"');
    const [volume] = await cli.json<{ labels: object }[]>('volume', 'inspect', 'made');
    expect(volume?.labels).toEqual({ a: '1', bare: '' });
  });

  test('create without a name makes an anonymous volume, which prune alone takes', async () => {
    const name = (await cli.run('volume', 'create')).trim();
    expect(name).toMatch(/^[0-9a-f]{64}$/);
    const plan = await cli.json<{ remove: { name: string }[] }>('volume', 'prune', '--dry-run');
    expect(plan.remove.map((choice) => choice.name)).toEqual([name]);
    const refused = await cli.attempt(['volume', 'prune']);
    expect(refused).toMatchObject({ exit: 2, stdout: '' });
    expect(refused.stderr).toContain('--yes');
    expect(existsSync(cli.root(name))).toBe(true);
    expect(await cli.run('volume', 'prune', '--yes', '-q')).toBe(`${name}\n`);
    expect(existsSync(cli.root(name))).toBe(false);
    expect(existsSync(cli.root('made'))).toBe(true);
  });

  test('ls shows a table, names with -q, a document with --format json, and filters', async () => {
    await cli.run('volume', 'create', 'other', '--label', 'tier=db');
    expect(await cli.run('volume', 'ls')).toMatch(/^NAME +DRIVER +STACK +CONSUMERS +AGE\nmade +local/);
    expect(await cli.run('volume', 'ls', '-q')).toBe('made\nother\n');
    expect(await cli.run('volume', 'ls', '-q', '-f', 'label=tier=db')).toBe('other\n');
    expect(await cli.run('--quiet', '--state-dir', cli.stateDir, 'volume', 'list')).toBe('made\nother\n');
    const listed = await cli.json<{ name: string; stack: unknown }[]>('volume', 'ls');
    expect(listed.map(({ name, stack }) => [name, stack])).toEqual([
      ['made', null],
      ['other', null],
    ]);
    const sized = await cli.json<{ name: string; bytes: number }[]>('volume', 'ls', '--size');
    expect(sized.map(({ bytes }) => bytes)).toEqual([0, 0]);
  });

  test('rm prints what it removed, and is partly done when one of several is missing', async () => {
    await cli.run('volume', 'create', 'gone1');
    const result = await cli.attempt(['volume', 'rm', 'gone1', 'never-was']);
    expect(result).toMatchObject({ exit: 3, stdout: 'gone1\n' });
    expect(result.stderr).toContain('"never-was"');
    expect(await cli.attempt(['volume', 'rm', '-f', 'never-was'])).toMatchObject({ exit: 0 });
    expect(await cli.attempt(['volume', 'rm', 'never-was'])).toMatchObject({ exit: 4, stdout: '' });
  });

  test('inspect prints what it finds, and fails for what is missing', async () => {
    const result = await cli.attempt(['volume', 'inspect', 'made', 'mede']);
    expect(result.exit).toBe(3);
    expect((JSON.parse(result.stdout) as { name: string }[]).map(({ name }) => name)).toEqual(['made']);
    expect(result.stderr).toContain('"mede"');
  });

  test('cp, cat, browse and du work on files inside a volume', async () => {
    writeFileSync(join(cli.folder, 'note.txt'), 'a note\n');
    await cli.run('volume', 'cp', './note.txt', 'made:/');
    await cli.run('volume', 'cp', './note.txt', 'made:/copy.txt');
    expect(await cli.run('volume', 'cat', 'made', '/note.txt')).toBe('a note\n');
    expect(await cli.run('volume', 'cat', 'made:note.txt')).toBe('a note\n');
    expect(await cli.attempt(['volume', 'cat', 'made'])).toMatchObject({ exit: 2, stdout: '' });
    expect(await cli.run('volume', 'browse', 'made')).toMatch(/-rw.*copy\.txt\n.*note\.txt/);
    const [usage] = await cli.json<{ bytes: number; files: number }[]>('volume', 'du', 'made');
    expect(usage).toMatchObject({ bytes: 14, files: 2 });
    await cli.run('volume', 'cp', 'made:/note.txt', './back.txt');
    expect(readFileSync(join(cli.folder, 'back.txt'), 'utf8')).toBe('a note\n');
    const tar = await cli.attempt(['volume', 'cp', 'made:/note.txt', '-']);
    expect(tar.stdout).toContain('a note\n');
    expect(await cli.attempt(['volume', 'cp', 'made:/a', 'other:/b'])).toMatchObject({ exit: 2 });
  });

  test('no path leaves the volume, neither by ".." nor by a symbolic link', async () => {
    const root = cli.root('other');
    symlinkSync('/etc', join(root, 'out'));
    for (const path of ['../../../etc/passwd', '/../catalog.db']) {
      expect(await cli.attempt(['volume', 'cat', 'other', path])).toMatchObject({ exit: 2, stdout: '' });
    }
    const followed = await cli.attempt(['volume', 'cat', 'other', 'out/passwd']);
    expect(followed.exit).not.toBe(0);
    expect(followed.stdout).toBe('');
  });

  test('clone, export and import carry a tree of everything exactly', async () => {
    const root = await cli.volume('tree');
    await makeHostileTree(root);
    const before = treeFacts(root);
    expect(await cli.run('volume', 'clone', 'tree', 'tree2', '-q')).toBe('tree2\n');
    expect(treeFacts(cli.root('tree2'))).toEqual(before);
    await cli.run('volume', 'export', 'tree', '--output', './tree.tar.zst');
    await cli.run('volume', 'import', 'tree3', '--input', './tree.tar.zst');
    expect(treeFacts(cli.root('tree3'))).toEqual(before);
    expect(await cli.attempt(['volume', 'export', 'tree', '-o', './tree.tar.zst'])).toMatchObject({
      exit: 1,
    });
    expect(await cli.attempt(['volume', 'import', 'tree3', '-i', './tree.tar.zst'])).toMatchObject({
      exit: 1,
    });
  });

  test('a volume restored from the trash under another name keeps its snapshots', async () => {
    const root = await cli.volume('first');
    writeFileSync(join(root, 'file'), 'saved');
    await cli.init();
    await cli.run('backup', 'first');
    await cli.run('volume', 'rm', 'first');
    await cli.run('trash', 'restore', 'first', '--to', 'second');
    await cli.volume('first');
    writeFileSync(join(cli.root('second'), 'file'), 'changed');
    await cli.run('backup', 'second');
    expect(await cli.ids('second')).toHaveLength(2);
    const [id = ''] = await cli.ids('second');
    // Its former name belongs to another volume by now, whose data must stay.
    for (const what of [`second@${id}`, id]) {
      writeFileSync(join(cli.root('second'), 'file'), 'changed again');
      expect(await cli.run('diff', what)).toContain('file');
      await cli.run('restore', what, '--yes');
      expect(readFileSync(join(cli.root('second'), 'file'), 'utf8')).toBe('saved');
      expect(readdirSync(cli.root('first'))).toEqual([]);
    }
    await cli.run('backup', 'first');
    expect(await cli.ids('first')).toHaveLength(1);
  });

  test('names from outside cannot steer the terminal', async () => {
    mkdirSync(join(cli.root('made'), 'x\u001b[2Jy'));
    const shown = await cli.run('volume', 'browse', 'made');
    expect(shown).not.toContain('\u001b');
    expect(shown).toContain('x\\u001b[2Jy');
  });
});
