import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pasted, pastedByRoot } from './pasted.ts';

// Only root can make folders of several users.
describe.skipIf(process.getuid?.() !== 0)('a printed command with a path', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pasted-'));
    chmodSync(folder, 0o755);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function make(name: string, uid = 0, mode = 0o755): string {
    const path = join(folder, name);
    mkdirSync(path, { recursive: true });
    chownSync(path, uid, uid);
    chmodSync(path, mode);
    return path;
  }

  const apart = ['setsid', '--wait', 'env', '-i'];
  const asUser = [...apart, 'setpriv', '--reuid=4242', '--regid=65534', '--clear-groups'];

  test('that only root can lead elsewhere is printed as it is', () => {
    const place = join(make('data'), 'missing');
    expect(pasted(['rmdir', place], place)).toEqual([['rmdir', place]]);
    expect(pastedByRoot(['rmdir', place], place)).toEqual([['rmdir', place]]);
  });

  test('that one user can lead elsewhere is that user’s, and nothing that root alone may do', () => {
    make('home', 4242);
    const place = make('home/deep');
    expect(pasted(['rmdir', place], place)).toEqual([[...asUser, 'rmdir', place]]);
    expect(pastedByRoot(['chcon', place], place)).toEqual([]);
  });

  test('that leads over a link in a user’s folder is that user’s, wherever it leads', () => {
    const link = join(make('home', 4242), 'link');
    symlinkSync(make('data'), link);
    expect(pasted(['rmdir', link], link)).toEqual([[...asUser, 'rmdir', link]]);
  });

  test('that ends in a folder of one user, with a name there that is not looked at, is that user’s', () => {
    const home = make('home', 4242);
    const mount = join(home, 'nas');
    expect(pasted(['umount', mount], `${home}/`)).toEqual([[...asUser, 'umount', mount]]);
    expect(pastedByRoot(['umount', mount], `${home}/`)).toEqual([]);
    expect(pasted(['umount', '/a'], `${make('sticky', 0, 0o1777)}/`)).toEqual([]);
    expect(pasted(['umount', '/a'], `${make('roots')}/`)).toEqual([['umount', '/a']]);
  });

  test('that several users can lead elsewhere is not printed', () => {
    const [open, sticky] = [make('open', 0, 0o777), make('sticky', 0, 0o1777)];
    for (const place of [join(open, 'a'), join(sticky, 'missing')])
      expect(pasted(['rmdir', place], place)).toEqual([]);
    const [one, other] = [make('one', 4242), make('other', 4243)];
    expect(pasted(['mv', one, other], join(one, 'a'), join(other, 'a'))).toEqual([]);
    const own = make('sticky/own', 4242);
    expect(pasted(['rmdir', own], own)).toEqual([[...asUser, 'rmdir', own]]);
  });

  test('as a user has no terminal and no variables of root’s, which that user could use by tracing it', () => {
    const place = make('home', 4242);
    const show = ['sh', '-c', 'cat /proc/self/stat /proc/self/environ'];
    const [command = []] = pasted(show, join(place, 'missing'));
    const [program = '', ...args] = command;
    const shown = execFileSync(program, args, {
      encoding: 'utf8',
      env: { ...process.env, SECRET: 'secret' },
    });
    // Its session is its own (the sixth field), and has no terminal (the seventh).
    const [, , , session, terminal] = shown.slice(shown.indexOf(') ') + 2).split(' ');
    expect(session).not.toBe(readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ')[3]);
    expect(terminal).toBe('0');
    expect(shown).not.toContain('secret');
  });

  test('moves nothing of root’s when its user has planted a link before it is pasted', () => {
    make('home', 4242);
    const [moved, target] = [make('home/moved', 4242), join(folder, 'home/site')];
    const secrets = make('roots/secrets');
    const [command = []] = pasted(
      ['mv', '-nT', join(moved, 'secrets'), target],
      join(moved, 'secrets'),
      target,
    );
    renameSync(moved, `${moved}.old`);
    symlinkSync(join(folder, 'roots'), moved);
    const [program = '', ...args] = command;
    expect(() => execFileSync(program, args, { stdio: 'pipe' })).toThrow('Permission denied');
    expect(existsSync(secrets)).toBe(true);
    expect(existsSync(target)).toBe(false);
  });
});
