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

test('there is one daemon for a state folder, and whoever asks finds it', async () => {
  expect(await findDaemon(stateDir)).toBeUndefined();
  {
    await using _held = await takeDaemonLock(stateDir, state);
    expect(await findDaemon(stateDir)).toEqual(state);
    await expect(takeDaemonLock(stateDir, state)).rejects.toMatchObject({ code: 'locked' });
  }
  expect(await findDaemon(stateDir)).toBeUndefined();
});

test('a daemon that begins while somebody looks whether there is one begins all the same', async () => {
  const look = await tryLockFile(join(stateDir, 'daemon.lock'), { owner: '' });
  if ('heldBy' in look) throw new Error('taken');
  const taking = takeDaemonLock(stateDir, state);
  taking.catch(() => undefined);
  // Meanwhile it finds the place taken.
  for (let round = 0; round < 200; round++) await readdir(stateDir);
  await look[Symbol.asyncDispose]();
  await using _held = await taking;
  expect(await findDaemon(stateDir)).toEqual(state);
});
