import { mkdtempSync, rmSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { tryLockFile } from '../lib/file-lock.ts';
import { findDaemon, takeDaemonLock } from './daemon-lock.ts';

const state = { pid: process.pid, since: '2026-01-31T12:00:00.000Z' };

let stateDir: string;
beforeEach(() => void (stateDir = mkdtempSync(join(tmpdir(), 'holdfast-daemon-'))));
afterEach(() => rmSync(stateDir, { recursive: true }));

test('a state folder has at most one daemon, and other processes find it', async () => {
  expect(await findDaemon(stateDir)).toBeUndefined();
  {
    await using _held = await takeDaemonLock(stateDir, state);
    expect(await findDaemon(stateDir)).toEqual(state);
    await expect(takeDaemonLock(stateDir, state)).rejects.toMatchObject({ code: 'locked' });
  }
  expect(await findDaemon(stateDir)).toBeUndefined();
});

test('a daemon starts even while another process checks for one', async () => {
  const look = await tryLockFile(join(stateDir, 'daemon.lock'), { owner: '' });
  if ('heldBy' in look) throw new Error('taken');
  const taking = takeDaemonLock(stateDir, state);
  taking.catch(() => undefined);
  // Meanwhile the daemon may find the lock taken.
  for (let round = 0; round < 200; round++) await readdir(stateDir);
  await look[Symbol.asyncDispose]();
  await using _held = await taking;
  expect(await findDaemon(stateDir)).toEqual(state);
});
