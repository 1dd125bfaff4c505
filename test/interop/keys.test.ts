import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { runCommand, type RunResult } from '../../scripts/run-command.ts';
import { initTestRepository, openTestRepository } from '../support/repository-fixture.ts';
import { openRepository } from '../../src/repository/index.ts';
import { resticCommand, resticPassword } from '../support/restic-command.ts';

const first = Buffer.from(resticPassword);
const second = Buffer.from('a second, longer password');

let folder: string;
let location: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'interop-keys-'));
  location = join(folder, 'repository');
  return () => rmSync(folder, { recursive: true, force: true });
});

function restic(password: Uint8Array, ...args: string[]): Promise<RunResult> {
  return runCommand('restic', ['-r', location, '--no-cache', ...args], {
    env: { ...process.env, RESTIC_PASSWORD: Buffer.from(password).toString() },
  });
}

test('restic opens with the key that Holdfast added, and no longer with the one that it removed', async () => {
  await using repository = await initTestRepository(location);
  const [own] = await repository.listKeys();
  const added = await repository.addKey(second);
  expect((await restic(second, 'cat', 'config')).exitCode).toBe(0);
  const listed = await restic(second, 'key', 'list');
  expect(listed.stdout).toContain(`*${added.id.slice(0, 8)}`);
  expect(listed.stdout).toContain(` ${own?.id.slice(0, 8)}`);

  await repository.removeKey(own?.id ?? '', { instead: second });
  expect((await restic(first, 'cat', 'config')).exitCode).not.toBe(0);
  expect(JSON.parse((await restic(second, 'cat', 'config')).stdout)).toMatchObject({ id: repository.id });
});

test('Holdfast opens with the key that restic added or changed to, and no longer with the one that it removed', async () => {
  await resticCommand(location).run('init');
  const file = join(folder, 'new-password');
  writeFileSync(file, second);
  await resticCommand(location).run('key', 'add', '--new-password-file', file);
  const openWith = (password: Uint8Array) => openRepository({ location, password: async () => password });
  await using byFirst = await openTestRepository(location);
  {
    await using bySecond = await openWith(second);
    expect(bySecond.id).toBe(byFirst.id);
    expect(await bySecond.listKeys()).toHaveLength(2);
  }
  const [own] = (await byFirst.listKeys()).filter(({ isCurrent }) => isCurrent);
  expect((await restic(second, 'key', 'remove', own?.id ?? '')).exitCode).toBe(0);
  await expect(openWith(first)).rejects.toMatchObject({ code: 'wrong-password' });

  const third = Buffer.from('third');
  writeFileSync(file, third);
  expect((await restic(second, 'key', 'passwd', '--new-password-file', file)).exitCode).toBe(0);
  await expect(openWith(second)).rejects.toMatchObject({ code: 'wrong-password' });
  await using byThird = await openWith(third);
  expect(await byThird.listKeys()).toMatchObject([{ isCurrent: true, isDamaged: false }]);
});

test('a lock of restic is stale for Holdfast when its process has ended, and unlock removes it', async () => {
  await using repository = await initTestRepository(location);
  const { spawn } = await import('node:child_process');
  const { readdirSync } = await import('node:fs');
  // A backup from a pipe that is never closed holds its lock until it is killed.
  const child = spawn('restic', ['-r', location, '--no-cache', 'backup', '--stdin'], {
    env: { ...process.env, RESTIC_PASSWORD: resticPassword },
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  // restic writes a lock under another name first.
  await expect
    .poll(() => readdirSync(join(location, 'locks')))
    .toContainEqual(expect.stringMatching(/^[0-9a-f]{64}$/));
  expect((await repository.unlock({ all: false })).kept).toMatchObject([
    { pid: child.pid, stale: undefined },
  ]);
  child.kill('SIGKILL');
  await ended;
  const { removed, kept } = await repository.unlock({ all: false });
  expect(kept).toEqual([]);
  expect(removed).toMatchObject([{ pid: child.pid, exclusive: false, stale: 'its process has ended' }]);
  expect(readdirSync(join(location, 'locks'))).toEqual([]);
});
