import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { Cli } from './cli.ts';

let cli: Cli;
beforeEach(async () => {
  cli = new Cli();
  await cli.init();
  return () => cli[Symbol.dispose]();
});

interface KeyJson {
  readonly id: string;
  readonly isCurrent: boolean;
}

test('a key is replaced by a random one, which the next command uses automatically', async () => {
  const [before] = await cli.json<KeyJson[]>('key', 'list');
  const changed = await cli.json<{ key: KeyJson; keyFile: string; removedId: string; formerKeyFile: string }>(
    'key',
    'change',
  );
  const former = join(cli.stateDir, 'keys/default.key');
  expect(changed).toMatchObject({ removedId: before?.id, formerKeyFile: former });
  expect(readFileSync(changed.keyFile, 'utf8')).toMatch(/^[\w-]{43}\n$/);
  expect(await cli.json('key', 'list')).toMatchObject([{ id: changed.key.id, isCurrent: true }]);
  const refused = await cli.attempt(['--password-file', former, 'snapshots']);
  expect(refused).toMatchObject({ exit: 1, stdout: '' });
  expect(refused.stderr).toContain('does not open');
});

test('a password of the user takes the place of the key, and the catalog keeps where it comes from only', async () => {
  const file = join(cli.folder, 'secret-password');
  writeFileSync(file, 'hunter2-hunter2\n');
  await cli.run('key', 'change', '--new-password-file', file);
  expect(await cli.json('key', 'list')).toHaveLength(1);
  expect(readFileSync(join(cli.stateDir, 'catalog.db')).includes('hunter2')).toBe(false);
  writeFileSync(join(cli.folder, 'print'), '#!/bin/sh\necho from-a-command\n', { mode: 0o755 });
  await cli.run('key', 'change', '--new-password-command', `${join(cli.folder, 'print')}`);
  expect(await cli.json('key', 'list')).toHaveLength(1);
});

test('a key that is added opens beside the first, and removing the first makes the catalog follow', async () => {
  const file = join(cli.folder, 'other.key');
  await cli.run('key', 'add', '--new-key-file', file);
  const [first] = await cli.json<KeyJson[]>('key', 'list');
  const withOther = await cli.json<KeyJson[]>('--password-file', file, 'key', 'list');
  expect(withOther.map(({ isCurrent }) => isCurrent)).toEqual([false, true]);
  expect(await cli.attempt(['key', 'remove', first?.id ?? ''])).toMatchObject({ exit: 5 });
  await cli.run('--password-file', file, 'key', 'remove', (first?.id ?? '').slice(0, 8));
  expect(await cli.json('key', 'list')).toMatchObject([{ id: withOther[1]?.id, isCurrent: true }]);
  expect(await cli.attempt(['key', 'remove', withOther[1]?.id ?? ''])).toMatchObject({ exit: 1 });
  expect(await cli.json('key', 'list')).toHaveLength(1);
});

test.each([
  [['key', 'add', '--new-key-file', 'a', '--new-password-file', 'b'], 2, 'exclude each other'],
  [['key', 'change', '--new-password-file', 'none'], 4, 'Cannot read the password file'],
  [['key', 'change', '--new-password-file', 'empty'], 2, 'password is empty'],
  [['key', 'add', '--new-key-file', 'empty'], 1, 'it is there already'],
  [['key', 'remove', 'zz'], 4, 'There is no key "zz"'],
])('"holdfast %s" is refused and changes nothing', async (args, exit, message) => {
  writeFileSync(join(cli.folder, 'empty'), '');
  const before = await cli.json('key', 'list');
  const refused = await cli.attempt(args);
  expect(refused.exit).toBe(exit);
  expect(refused.stderr).toContain(message);
  expect(await cli.json('key', 'list')).toEqual(before);
  expect(existsSync(join(cli.stateDir, 'keys/default-2.key'))).toBe(false);
});

test('a lock that cannot be read is kept, and goes with --remove-all after a warning', async () => {
  const lock = join(cli.repository, 'locks', 'ef'.repeat(32));
  writeFileSync(lock, 'damaged');
  const kept = await cli.attempt(['unlock']);
  expect(kept).toMatchObject({ exit: 0, stdout: expect.stringContaining('Kept the lock efefefef') });
  const unasked = await cli.attempt(['unlock', '--remove-all']);
  expect(unasked).toMatchObject({ exit: 2, stderr: expect.stringMatching(/Warning: .* may still be held/) });
  expect(existsSync(lock)).toBe(true);
  expect(await cli.run('unlock', '--remove-all', '--yes')).toContain('Removed the lock efefefef');
  expect(existsSync(lock)).toBe(false);
  expect(await cli.run('unlock')).toBe('There are no locks.\n');
});
