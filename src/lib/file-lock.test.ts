import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, linkSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FileLock, ownerIn, tryLockFile, tryLockUnwritten } from './file-lock.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-lock-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('one process holds a lock, and others get its name, until it is disposed', async () => {
  const path = join(folder, 'lock');
  const first = await tryLockFile(path, { owner: 'the first' });
  expect(await tryLockFile(path, { owner: 'the second' })).toEqual({ heldBy: 'the first' });
  if ('heldBy' in first) throw new Error('The first did not get the lock');
  await first[Symbol.asyncDispose]();
  const second = await tryLockFile(path, { owner: 'the second' });
  expect('heldBy' in second).toBe(false);
  if (!('heldBy' in second)) await second[Symbol.asyncDispose]();
});

async function take(path: string, owner: string, isShared: boolean): Promise<FileLock> {
  const taken = await tryLockFile(path, { owner, isShared, isRemoved: true });
  if ('heldBy' in taken) throw new Error(`It is held by ${taken.heldBy}`);
  return taken;
}

test('a shared lock keeps the others out until the last of its holders is done, and goes with it', async () => {
  const path = join(folder, 'lock');
  const alone = () => tryLockFile(path, { owner: 'alone' });
  {
    await using _last = await take(path, 'one', true);
    {
      await using _first = await take(path, 'two', true);
      expect(await alone()).toEqual({ heldBy: 'one\n\ntwo\n' });
    }
    expect(existsSync(path)).toBe(true);
    expect(await alone()).toEqual({ heldBy: 'one\n\ntwo\n\n-two\n' });
  }
  expect(existsSync(path)).toBe(false);
  await using _alone = await take(path, 'alone', false);
  expect(await tryLockFile(path, { owner: 'one', isShared: true })).toEqual({ heldBy: 'alone' });
});

test('of several owners in a file, one that is still alive is named', () => {
  const read = (line: string): { pid: number } | undefined =>
    /^\d+$/.test(line) ? { pid: Number(line) } : undefined;
  const { pid: dead } = spawnSync('true');
  expect(ownerIn(`${process.pid}\n${dead}\n`, read)).toEqual({ pid: process.pid });
  expect(ownerIn(`${dead}\n`, read)).toEqual({ pid: dead });
  const [one, two] = [process.ppid, process.pid];
  expect(ownerIn(`${one}\n${two}\n-${two}\n`, read)).toEqual({ pid: one });
  expect(ownerIn(`${one}\n-${one}\n`, read)).toBeUndefined();
  expect(ownerIn('', read)).toBeUndefined();
});

test('one that shares the lock has a name of its own in what a killed holder has left', async () => {
  const path = join(folder, 'lock');
  writeFileSync(path, '123');
  await using _shared = await take(path, '456', true);
  const taken = await tryLockFile(path, { owner: '' });
  if (!('heldBy' in taken)) throw new Error('It is shared');
  expect(taken.heldBy.split('\n')).toContain('456');
});

test('a lock that is taken without writing is on the file that is there', async () => {
  const path = join(folder, 'lock');
  const script = `import { tryLockFile } from ${JSON.stringify(join(import.meta.dirname, 'file-lock.ts'))};
    const end = Date.now() + 500;
    while (Date.now() < end) {
      const lock = await tryLockFile(${JSON.stringify(path)}, { owner: '', isRemoved: true });
      if (!('heldBy' in lock)) await lock[Symbol.asyncDispose]();
    }`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
  const ended = once(child, 'exit');
  let isOver = false;
  void ended.then(() => (isOver = true));
  while (!isOver) {
    const lock = await tryLockUnwritten(path).catch(() => undefined);
    if (lock === undefined || 'heldBy' in lock) continue;
    await using _held = lock;
    expect(await tryLockFile(path, { owner: '' })).toHaveProperty('heldBy');
  }
});

test('the lock of a process that was killed is free', async () => {
  const path = join(folder, 'lock');
  const script = `import { tryLockFile } from ${JSON.stringify(join(import.meta.dirname, 'file-lock.ts'))};
    await tryLockFile(${JSON.stringify(path)}, { owner: 'doomed' }); console.log('held'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  expect(await tryLockFile(path, { owner: 'me' })).toEqual({ heldBy: 'doomed' });
  child.kill('SIGKILL');
  await once(child, 'exit');
  const taken = await tryLockFile(path, { owner: 'me' });
  expect('heldBy' in taken).toBe(false);
  if (!('heldBy' in taken)) await taken[Symbol.asyncDispose]();
});

test('a link or file that another user put in the place of a lock is neither followed nor written to', async () => {
  const [victim, path] = [join(folder, 'victim'), join(folder, 'lock')];
  writeFileSync(victim, 'precious');
  const refused = { code: 'denied', message: expect.stringContaining('it is a link, or no plain file') };
  for (const put of [
    () => symlinkSync(victim, path),
    () => symlinkSync(join(folder, 'made'), path),
    () => linkSync(victim, path),
    () => spawnSync('mkfifo', [path]),
  ]) {
    put();
    await expect(tryLockFile(path, { owner: 'x' })).rejects.toMatchObject(refused);
    rmSync(path);
  }
  expect(readFileSync(victim, 'utf8')).toBe('precious');
  expect(existsSync(join(folder, 'made'))).toBe(false);
});

test('a lock that goes when it is let go has one holder at a time all the same', async () => {
  const path = join(folder, 'lock');
  let [held, most, times] = [0, 0, 0];
  const work = async (): Promise<void> => {
    while (times < 200) {
      const lock = await tryLockFile(path, { owner: '', isRemoved: true });
      if ('heldBy' in lock) continue;
      most = Math.max(most, ++held);
      times++;
      await Promise.resolve();
      held--;
      await lock[Symbol.asyncDispose]();
    }
  };
  await Promise.all([work(), work(), work()]);
  expect(most).toBe(1);
  expect(existsSync(path)).toBe(false);
});
