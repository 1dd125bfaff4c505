import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { tryLockFile } from './file-lock.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-lock-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a lock is held by one, who is named to the others, until it is disposed', async () => {
  const path = join(folder, 'lock');
  const first = await tryLockFile(path, { owner: 'the first' });
  expect(await tryLockFile(path, { owner: 'the second' })).toEqual({ heldBy: 'the first' });
  if ('heldBy' in first) throw new Error('The first did not get the lock');
  await first[Symbol.asyncDispose]();
  const second = await tryLockFile(path, { owner: 'the second' });
  expect('heldBy' in second).toBe(false);
  if (!('heldBy' in second)) await second[Symbol.asyncDispose]();
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
